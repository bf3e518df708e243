/**
 * Static credentials: which of the known tokens a text is, if any, at a cost that tells nothing about them.
 *
 * Tokens are kept and compared as SHA-256 digests under a key drawn at the start: the time of a look-up depends on a digest that no sender can
 * steer, and what is found is compared in constant time once more. No token can be read back from here. Pure but for the key; owned by one thread.
 */

import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { EngineError } from './errors.ts';

/** AppsFlyer's own limit of a token. Longer credentials are refused unread. */
export const TOKEN_CHARACTERS_MAX = 2_000;
export const TOKENS_MAX = 1_000;
/** Of a file with one token a line: what {@link TOKENS_MAX} take, remarks included. */
export const TOKENS_FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Short ones can be guessed at the rate of the door. Chosen: 16 letters and digits are 95 bits. */
export const TOKEN_CHARACTERS_MIN = 16;

/** Who uses a token: what logs and metrics may say in its place. */
export interface NamedToken {
  readonly name: string;
  readonly token: string;
}

interface KnownToken {
  readonly name: string;
  readonly digest: Buffer;
  /** Epoch ms from which it is void; Infinity while it is configured. */
  untilMs: number;
}

const SCHEME = /^bearer +/i;

/**
 * Reads one token a line, `name=token` or the token alone (named by its line). Empty lines and lines that begin with `#` say nothing.
 * `where` names the file or setting in errors, which never show a token. Raises CONFIG_INVALID.
 */
export function parseTokens(lines: readonly string[], where: string): readonly NamedToken[] {
  const tokens: NamedToken[] = [];
  lines.forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return;
    const split = line.indexOf('=');
    const named = split > 0 ? { name: line.slice(0, split).trim(), token: line.slice(split + 1).trim() } : { name: `token-${index + 1}`, token: line };
    const problem = problemOf(named);
    if (problem !== null) throw new EngineError('CONFIG_INVALID', `${where}, entry ${index + 1}: ${problem}`, { fix: `write name=token, the token ${TOKEN_CHARACTERS_MIN} to ${TOKEN_CHARACTERS_MAX} of A-Z a-z 0-9 . _ - and blanks` });
    tokens.push(named);
  });
  if (tokens.length > TOKENS_MAX) throw new EngineError('CONFIG_INVALID', `${where}: ${tokens.length} tokens: at most ${TOKENS_MAX} are taken`);
  return tokens;
}

function problemOf({ name, token }: NamedToken): string | null {
  if (!/^[\w.@-]{1,64}$/.test(name)) return 'its name is not 1 to 64 letters, digits and . _ @ -';
  if (token.length < TOKEN_CHARACTERS_MIN) return `the token is shorter than ${TOKEN_CHARACTERS_MIN} characters`;
  if (token.length > TOKEN_CHARACTERS_MAX) return `the token is longer than ${TOKEN_CHARACTERS_MAX} characters`;
  return /^[A-Za-z0-9 \t._-]+$/.test(token) ? null : 'the token holds a character that AppsFlyer does not send';
}

export class TokenSet {
  readonly #key = randomBytes(32).toString('hex');
  readonly #graceMs: number;
  readonly #known = new Map<string, KnownToken>();

  /** `graceMs`: how long a token that is configured no more still counts. */
  constructor(tokens: readonly NamedToken[], graceMs: number) {
    this.#graceMs = graceMs;
    this.replace(tokens, 0);
  }

  /** Those that count now, ones in their grace included. */
  get size(): number {
    return this.#known.size;
  }

  /** The configured tokens are these from now on; others count until their grace is over. */
  replace(tokens: readonly NamedToken[], nowMs: number): void {
    for (const known of this.#known.values()) known.untilMs = Math.min(known.untilMs, nowMs + this.#graceMs);
    for (const { name, token } of tokens) {
      const digest = this.#digest(token);
      this.#known.set(digest.toString('latin1'), { name, digest, untilMs: Infinity });
    }
    for (const [key, { untilMs }] of this.#known) if (untilMs <= nowMs) this.#known.delete(key);
  }

  /** The name of the token that a header's value holds, with or without the word Bearer before it; null for none that counts. */
  nameOf(value: string, nowMs: number): string | null {
    if (value === '' || value.length > TOKEN_CHARACTERS_MAX + 16) return null;
    return (SCHEME.test(value) ? this.#find(value.replace(SCHEME, ''), nowMs) : null) ?? this.#find(value, nowMs);
  }

  #find(text: string, nowMs: number): string | null {
    const digest = this.#digest(text.trim());
    const known = this.#known.get(digest.toString('latin1'));
    if (known === undefined || !timingSafeEqual(known.digest, digest)) return null;
    if (known.untilMs > nowMs) return known.name;
    this.#known.delete(digest.toString('latin1'));
    return null;
  }

  #digest(text: string): Buffer {
    return hash('sha256', this.#key + text, 'buffer');
  }
}
