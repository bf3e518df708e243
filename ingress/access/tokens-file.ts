/**
 * The tokens of the settings and of their file, which is read again when it changes: at most two seconds later, without a restart.
 *
 * A file that cannot be read, or has a line that is no token, changes nothing: the tokens before it go on counting, and the log says why.
 */

import fs from 'node:fs';
import type { Clock } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { readSettingFile } from '../../engine/core/setting-file.ts';
import { parseTokens, TOKENS_FILE_BYTES_MAX, TokenSet, type NamedToken } from '../../engine/core/tokens.ts';
import { FileWatch, looksOfFiles } from '../file-watch.ts';
import type { IngressLog } from '../log.ts';
import type { AccessOptions } from './options.ts';


/** Null where no token is asked for. Raises CONFIG_INVALID; never says a token. */
export function readTokens({ tokens, tokens_file: file }: AccessOptions['auth']): readonly NamedToken[] | null {
  if (tokens.length === 0 && file === '') return null;
  const read = [...parseTokens(tokens, 'ingest.auth.tokens'), ...(file === '' ? [] : parseTokens(linesOf(file), file))];
  if (read.length === 0) throw new EngineError('CONFIG_INVALID', `ingest.auth.tokens_file: ${file} holds no token: nobody could send`, { fix: 'write one token a line, or leave the setting out' });
  return read;
}

const linesOf = (file: string): string[] => readSettingFile(fs, { setting: 'ingest.auth.tokens_file', file, bytesMax: TOKENS_FILE_BYTES_MAX }).toString('utf8').split('\n');

export interface WatchedTokens {
  readonly set: TokenSet;
  /** At once, without waiting for the file to be looked at. */
  readAgain(): void;
  stop(): void;
}

/** Null where no token is asked for. Raises CONFIG_INVALID where the file is bad at the start. */
export function watchTokens(auth: AccessOptions['auth'], clock: Clock, log: IngressLog): WatchedTokens | null {
  const files = auth.tokens_file === '' ? [] : [auth.tokens_file];
  const seen = looksOfFiles(files);
  const first = readTokens(auth);
  if (first === null) return null;
  const set = new TokenSet(first, auth.grace_seconds * 1_000);
  const readAgain = (): void => {
    try {
      const tokens = readTokens(auth) as readonly NamedToken[];
      set.replace(tokens, clock.nowMs());
      log.info({ file: auth.tokens_file, tokens: tokens.map(({ name }) => name).slice(0, 50) }, 'the tokens have changed');
    } catch (error) {
      log.error({ file: auth.tokens_file, error: messageOf(error) }, 'the tokens could not be read again: those before go on counting');
    }
  };
  const watch = files.length === 0 ? null : new FileWatch(files, seen, readAgain);
  return {
    set,
    readAgain,
    stop: () => {
      watch?.stop();
    },
  };
}
