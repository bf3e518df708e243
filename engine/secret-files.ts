/** Settings that name a file in a secret's place: read once at the start, so that no secret has to stand in a configuration or an environment. */

import fs from 'node:fs';
import { EngineError } from './core/errors.ts';
import { readSettingFile } from './core/setting-file.ts';
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
  const text = readSettingFile(fs, { setting: `${name}_file`, file, bytesMax: FILE_BYTES_MAX }).toString('utf8').trim();
  if (text === '') throw new EngineError('CONFIG_INVALID', `${name}_file: ${file} is empty`, { fix: 'write the secret into it, on one line' });
  return text;
}
