/**
 * A file that a setting or option names: read whole, within a bound. What is wrong with it is told by setting, file and fix, never by its bytes.
 *
 * Pure: the caller brings the file system.
 */

import { EngineError, messageOf } from './errors.ts';

/** The part of `node:fs` that is needed. */
export interface FileAccess {
  statSync(file: string): { readonly size: number };
  readFileSync(file: string): Buffer;
}

export interface SettingFile {
  /** As errors name it, such as `redis.password_file`. */
  readonly setting: string;
  readonly file: string;
  readonly bytesMax: number;
}

/** Raises CONFIG_INVALID. */
export function readSettingFile(access: FileAccess, { setting, file, bytesMax }: SettingFile): Buffer {
  try {
    if (access.statSync(file).size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    return access.readFileSync(file);
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${setting}: ${file} cannot be read: ${messageOf(error)}`, { cause: error, where: { file }, fix: 'check its path and permissions' });
  }
}
