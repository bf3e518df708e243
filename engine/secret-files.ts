/** Settings that name a file in a secret's place: read once at the start, so that no secret has to stand in a configuration or an environment. */

import { readFileSync, statSync } from 'node:fs';
import { EngineError, messageOf } from './core/errors.ts';
import type { Settings } from './settings.ts';

const FILE_BYTES_MAX = 64 * 1024;

/** The settings with the secrets of these files in place. Raises CONFIG_INVALID; no secret is part of a message. */
export function withSecretsOfFiles(settings: Settings): Settings {
  const { redis, lake } = settings;
  return {
    ...settings,
    ...(redis !== undefined && { redis: { ...redis, password: secretOf('redis.password', redis.password, redis.password_file) } }),
    lake: { ...lake, s3_secret_access_key: secretOf('lake.s3_secret_access_key', lake.s3_secret_access_key, lake.s3_secret_access_key_file) },
  };
}

function secretOf(name: string, given: string, file: string): string {
  if (file === '') return given;
  if (given !== '') throw new EngineError('CONFIG_INVALID', `${name}_file: ${name} is set too: leave one of them empty`);
  let text: string;
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${name}_file: ${file} cannot be read: ${messageOf(error)}`, { fix: 'check its path and permissions' });
  }
  if (text === '') throw new EngineError('CONFIG_INVALID', `${name}_file: ${file} is empty`, { fix: 'write the secret into it, on one line' });
  return text;
}
