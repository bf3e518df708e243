/**
 * Who may use the admin port: tokens with one of two roles. `read` sees all, `operate` also acts (every method but GET and HEAD).
 *
 * A token comes as `Authorization: Bearer <token>`, bare, or as the password of HTTP Basic with any user name, which is how a browser asks for it.
 * Without any token set there is no judge, and whoever reaches the port may do all: then it listens on loopback alone, unless that is allowed in so many words.
 */

import fs from 'node:fs';
import { EngineError } from '../core/errors.ts';
import { readSettingFile } from '../core/setting-file.ts';
import { parseTokens, TOKENS_FILE_BYTES_MAX, TokenSet, type NamedToken } from '../core/tokens.ts';

export interface AdminTokens {
  readonly read_tokens: readonly string[];
  readonly operate_tokens: readonly string[];
  readonly read_tokens_file: string;
  readonly operate_tokens_file: string;
}

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
const ACTS_NOT: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

export class AdminAccess {
  readonly #read: TokenSet;
  readonly #operate: TokenSet;

  /** Null where no token is set. Raises CONFIG_INVALID. */
  static open(tokens: AdminTokens): AdminAccess | null {
    const read = [...parseTokens(tokens.read_tokens, 'admin.read_tokens'), ...tokensOf(tokens.read_tokens_file, 'admin.read_tokens_file')];
    const operate = [...parseTokens(tokens.operate_tokens, 'admin.operate_tokens'), ...tokensOf(tokens.operate_tokens_file, 'admin.operate_tokens_file')];
    if (read.length + operate.length > 0) return new AdminAccess(read, operate);
    if (tokens.read_tokens_file + tokens.operate_tokens_file !== '') throw new EngineError('CONFIG_INVALID', 'the token files of the admin port hold no token: nobody could use it', { fix: 'write one token a line, or leave the settings out' });
    return null;
  }

  private constructor(read: readonly NamedToken[], operate: readonly NamedToken[]) {
    this.#read = new TokenSet(read, 0);
    this.#operate = new TokenSet(operate, 0);
  }

  /** Null when the request may be answered; else what is missing. `authorization`: the header's value, '' for none. */
  missing(method: string, authorization: string): 'credential' | 'role' | null {
    const token = passwordOf(authorization);
    // Both are asked whatever the first one says, so that the time tells nothing of the role.
    const operates = this.#operate.nameOf(token, 0) !== null;
    const reads = this.#read.nameOf(token, 0) !== null;
    if (operates || (reads && ACTS_NOT.includes(method))) return null;
    return reads ? 'role' : 'credential';
  }
}

function passwordOf(authorization: string): string {
  const encoded = BASIC.exec(authorization)?.[1];
  if (encoded === undefined) return authorization;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

const tokensOf = (file: string, setting: string): readonly NamedToken[] =>
  file === '' ? [] : parseTokens(readSettingFile(fs, { setting, file, bytesMax: TOKENS_FILE_BYTES_MAX }).toString('utf8').split('\n'), file);
