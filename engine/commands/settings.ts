/** Settings for a command, and the addresses of the daemon they describe. */

import { EngineError } from '../core/errors.ts';
import { configFile, loadConfig } from '../runtime/config.ts';
import { rulesOf } from '../rules-of.ts';
import { settingsSchema, type Settings } from '../settings.ts';

const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::'];

/** Refuses what the schema cannot see too, before anything is made or opened. */
export function loadSettings(options: { readonly config?: string | undefined }): Settings {
  const settings = loadConfig(settingsSchema, { file: configFile(options.config ?? fileFromEnvironment()), env: process.env });
  rulesOf(settings);
  refuseOnePortForBoth(settings);
  return settings;
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

/** Where a listener is reached: one that listens everywhere, on loopback. */
export function urlOf(host: string, port: number): string {
  const name = EVERY_ADDRESS.includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

export const adminUrl = ({ admin }: Settings, given: string | undefined): string => (given ?? urlOf(admin.host, admin.port)).replace(/\/$/, '');

export const ingestUrl = ({ ingest }: Settings, given: string | undefined): string => (given ?? urlOf(ingest.host, ingest.port)).replace(/\/$/, '');
