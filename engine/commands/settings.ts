/** Settings for a command, and the addresses of the daemon they describe. */

import { configFile, loadConfig } from '../runtime/config.ts';
import { rulesOf } from '../rules-of.ts';
import { settingsSchema, type Settings } from '../settings.ts';

/** Refuses what the schema cannot see too, before anything is made or opened. */
export function loadSettings(options: { readonly config?: string | undefined }): Settings {
  const settings = loadConfig(settingsSchema, { file: configFile(options.config ?? process.env['MILLRACE_CONFIG']), env: process.env });
  rulesOf(settings);
  return settings;
}

/** Where a listener is reached: one that listens everywhere, on loopback. */
export function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

export const adminUrl = ({ admin }: Settings, given: string | undefined): string => (given ?? urlOf(admin.host, admin.port)).replace(/\/$/, '');

export const ingestUrl = ({ ingest }: Settings, given: string | undefined): string => (given ?? urlOf(ingest.host, ingest.port)).replace(/\/$/, '');
