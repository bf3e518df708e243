/**
 * `millrace connect appsflyer`: sets up the Push endpoint of an app through AppsFlyer's own API, without touching the other ones.
 *
 * Read, merge, show the difference, ask, check the address, read again, put, read back. A PUT replaces the whole configuration: what somebody
 * else changed between the first reading and the last would be lost, so the command stops where the two differ.
 */

import fs from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { configDifference, ENDPOINTS_MAX, isSameConfig, mergedConfig, missingOf, neededFields, shownUrl, type PushConfig, type WantedEndpoint } from '../../actors/appsflyer/push-config.ts';
import { EngineError } from '../core/errors.ts';
import { readSettingFile } from '../core/setting-file.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { PushConfigApi } from './push-config-api.ts';

export interface ConnectOptions {
  readonly app: string;
  readonly url: string;
  readonly apiBase: string;
  readonly apiTokenFile?: string;
  readonly fields: string;
  readonly skan: boolean;
  readonly validate: boolean;
  readonly senderTokenFile?: string;
  readonly senderTokenName?: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

const TOKEN_VARIABLE = 'APPSFLYER_API_TOKEN';
const SENDER_TOKEN = /^[ \t\-_.a-zA-Z0-9]{1,2000}$/;
const SENDER_TOKEN_NAME = /^(Authorization|X-[a-zA-Z0-9\-_]{1,28})$/;
const FILE_BYTES_MAX = 8_192;

export async function connectAppsflyer(options: ConnectOptions): Promise<number> {
  const { app, url, dryRun } = options;
  if (options.fields !== 'needed' && options.fields !== 'all') throw new EngineError('CONFIG_INVALID', `--fields ${options.fields}: use needed or all`);
  const senderToken = senderTokenOf(options);
  const api = new PushConfigApi({ base: options.apiBase, token: apiTokenOf(options) });
  const current = await api.config(app);
  const merged = mergedConfig(current, await wantedOf(api, options));
  if ('problem' in merged) throw new EngineError('CONFIG_INVALID', merged.problem, { fix: merged.fix });
  say(`app ${app}: ${current.endpoints.length} endpoints, ${merged.endpoints.length} afterwards (at most ${ENDPOINTS_MAX})`);
  for (const line of configDifference(current, merged)) say(line);
  if (senderToken !== null) say(`~ the token that AppsFlyer sends with each message of this app, in the header ${options.senderTokenName ?? '(Authorization, or the name that was set before)'}`);
  const isSame = isSameConfig(current, merged);
  if (isSame && senderToken === null) {
    say('nothing to change');
    return exitCodes.ok;
  }
  if (dryRun) {
    say('nothing was changed (--dry-run)');
    return exitCodes.ok;
  }
  if (!(await confirmed(options))) {
    say('nothing was changed');
    return exitCodes.failure;
  }
  // The token first: an endpoint that asks for it refuses messages without.
  if (senderToken !== null) {
    await api.putSenderToken(app, senderToken, options.senderTokenName ?? null);
    say('the token is set');
  }
  if (options.validate) await validate(api, url);
  if (!isSame) await put(api, app, { current, merged });
  say('done: AppsFlyer sends to this endpoint within minutes; watch it with millrace tail --follow');
  return exitCodes.ok;
}

async function wantedOf(api: PushConfigApi, { app, url, fields, skan }: ConnectOptions): Promise<WantedEndpoint[]> {
  const isIos = /^id\d+$/.test(app);
  if (skan && !isIos) throw new EngineError('CONFIG_INVALID', `--skan: ${app} is no iOS app, and SKAdNetwork knows no others`);
  const offered = await api.fields(isIos ? 'ios' : 'android');
  const wanted: WantedEndpoint[] = [{ url, entity: 'appsflyer', eventTypes: await api.eventTypes('appsflyer'), fields: fields === 'all' ? 'all' : neededFields(offered) }];
  if (skan) wanted.push({ url: `${url}${url.includes('?') ? '&' : '?'}entity=skadnetwork`, entity: 'skadnetwork', eventTypes: await api.eventTypes('skadnetwork'), fields: null });
  return wanted;
}

async function validate(api: PushConfigApi, url: string): Promise<void> {
  const status = await api.validateUrl(url);
  if (status >= 200 && status < 300) {
    say(`AppsFlyer has called ${shownUrl(url)}: ${status}`);
    return;
  }
  // A test message need not be a whole event: the door that judged it is reached all the same.
  if (status === 400) {
    say(`AppsFlyer has called ${shownUrl(url)}: it is reached, and its test message was malformed (400)`);
    return;
  }
  const fix = status === 401 || status === 403 ? 'set the token that the endpoint asks for with --sender-token-file' : 'the address must be reachable from the internet on port 443 or 80; --no-validate goes on without this check';
  throw new EngineError('CONNECT_FAILED', `AppsFlyer has called ${shownUrl(url)} and got ${status === 0 ? 'no answer' : String(status)}; the endpoints were not changed`, { fix });
}

async function put(api: PushConfigApi, app: string, { current, merged }: { readonly current: PushConfig; readonly merged: PushConfig }): Promise<void> {
  if (!isSameConfig(current, await api.config(app))) throw new EngineError('CONNECT_FAILED', 'the configuration was changed by somebody else meanwhile; the endpoints were not changed', { fix: 'run the command again' });
  await api.putConfig(app, merged);
  const missing = missingOf(await api.config(app), merged);
  if (missing.length === 0) return;
  throw new EngineError('CONNECT_FAILED', `AppsFlyer has taken the configuration, and tells it otherwise:\n${missing.join('\n')}\n`, { fix: 'look at it in the dashboard: AppsFlyer may spell a setting in its own way' });
}

async function confirmed({ yes }: ConnectOptions): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) throw new EngineError('CONFIG_INVALID', 'nobody is there to confirm: give --yes, or --dry-run to see the difference alone');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question('Put this configuration? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}

function apiTokenOf({ apiTokenFile }: ConnectOptions): string {
  if (apiTokenFile !== undefined) return secretIn(apiTokenFile, '--api-token-file');
  const token = (process.env[TOKEN_VARIABLE] ?? '').trim();
  if (token === '') throw new EngineError('CONFIG_INVALID', `no API token: set ${TOKEN_VARIABLE}, or name a file that holds it with --api-token-file`);
  return token;
}

function senderTokenOf({ senderTokenFile, senderTokenName }: ConnectOptions): string | null {
  if (senderTokenFile === undefined) {
    if (senderTokenName !== undefined) throw new EngineError('CONFIG_INVALID', '--sender-token-name: give the token too, with --sender-token-file');
    return null;
  }
  if (senderTokenName !== undefined && !SENDER_TOKEN_NAME.test(senderTokenName)) throw new EngineError('CONFIG_INVALID', `--sender-token-name ${senderTokenName}: AppsFlyer takes Authorization, or X- and at most 28 letters, digits, - and _`);
  const token = secretIn(senderTokenFile, '--sender-token-file');
  if (!SENDER_TOKEN.test(token)) throw new EngineError('CONFIG_INVALID', '--sender-token-file: AppsFlyer takes at most 2,000 letters, digits, blanks, tabs, -, _ and .');
  return token;
}

/** Without the line break at its end. */
const secretIn = (file: string, option: string): string => readSettingFile(fs, { setting: option, file, bytesMax: FILE_BYTES_MAX }).toString('utf8').replace(/[\r\n]+$/, '');

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
