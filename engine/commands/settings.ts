/** Settings for a command, and the addresses of the daemon they describe. */

import { EngineError } from '../core/errors.ts';
import { configFile, loadConfig } from '../runtime/config.ts';
import { isLoopback } from '../core/loopback.ts';
import { rulesOf } from '../rules-of.ts';
import { withSecretsOfFiles } from '../secret-files.ts';
import { settingsSchema, type Settings } from '../settings.ts';
import { readTokens } from '../../ingress/index.ts';
import { doorFor } from '../../ingress/tls/options.ts';

const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::'];

/** Refuses what the schema cannot see too, before anything is made or opened. */
export function loadSettings(options: { readonly config?: string | undefined }): Settings {
  const settings = loadConfig(settingsSchema, { file: configFile(options.config ?? fileFromEnvironment()), env: process.env });
  rulesOf(settings);
  refuseOnePortForBoth(settings);
  refuseOpenAdminPort(settings);
  doorFor(settings.door, settings.ingest.tls);
  return withSecretsOfFiles(settings);
}

function fileFromEnvironment(): string | undefined {
  const named = process.env['MILLRACE_CONFIG'] ?? '';
  return named.trim() === '' ? undefined : named;
}

/** The one that listens second would say that another process has the port. */
function refuseOnePortForBoth({ ingest, admin }: Settings): void {
  if (ingest.port !== admin.port || ingest.port === 0) return;
  if (ingest.host === admin.host || EVERY_ADDRESS.includes(ingest.host) || EVERY_ADDRESS.includes(admin.host)) {
    throw new EngineError('CONFIG_INVALID', `admin.port: ${admin.port}: the same as ingest.port: set another one`);
  }
}

/** Raw records and results are nothing for whoever finds the port. */
function refuseOpenAdminPort({ admin }: Settings): void {
  const hasTokens = [...admin.read_tokens, ...admin.operate_tokens, admin.read_tokens_file, admin.operate_tokens_file].some((given) => given !== '');
  if (hasTokens || admin.allow_unauthenticated || isLoopback(admin.host)) return;
  throw new EngineError('CONFIG_INVALID', `admin.host: ${admin.host}: the admin port would listen beyond this machine without asking for a credential`, { fix: 'set admin.read_tokens and admin.operate_tokens or their files, or admin.allow_unauthenticated (MILLRACE_ADMIN_ALLOW_UNAUTHENTICATED) to true' });
}

/** Where a listener is reached: one that listens everywhere, on loopback. */
export function urlOf(host: string, port: number, scheme: 'http' | 'https' = 'http'): string {
  const name = EVERY_ADDRESS.includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}

export const adminUrl = ({ admin }: Settings, given: string | undefined): string => (given ?? urlOf(admin.host, admin.port)).replace(/\/$/, '');

export const ingestScheme = ({ tls }: Settings['ingest']): 'http' | 'https' => (tls.cert_file === '' ? 'http' : 'https');

export const ingestUrl = ({ ingest }: Settings, given: string | undefined): string => (given ?? urlOf(ingest.host, ingest.port, ingestScheme(ingest))).replace(/\/$/, '');

/** The header that lets a command in: the door of the configuration knows one of its own tokens. */
export function ingestCredential({ ingest: { auth } }: Settings): Readonly<Record<string, string>> {
  const token = readTokens(auth)?.[0]?.token;
  return token === undefined ? {} : { [auth.header]: token };
}
