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

/** An address to reach a listener at: one that listens everywhere is reached on loopback. */
const reachable = (host: string): string => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host);

export const adminUrl = (settings: Settings, given: string | undefined): string => (given ?? `http://${reachable(settings.admin.host)}:${settings.admin.port}`).replace(/\/$/, '');

export const ingestUrl = (settings: Settings, given: string | undefined): string => (given ?? `http://${reachable(settings.ingest.host)}:${settings.ingest.port}`).replace(/\/$/, '');
