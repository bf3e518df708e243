/** Where an answer ended: the sort position of its last row, so that the next one goes on behind it whatever has changed since. */

import { createHash } from 'node:crypto';
import { z } from '../../engine/core/schema.ts';
import type { Amount } from './group.ts';

export interface CursorPosition {
  /** By sort key. */
  readonly sortValues: readonly (Amount | string)[];
  readonly windowStartMs: number;
  readonly dimensions: readonly string[];
}

export interface Cursor {
  readonly fingerprint: string;
  readonly position: CursorPosition;
}

/** Numbers go as `#` and digits, because they may be beyond what JSON carries. */
const stored = z.tuple([z.literal(1), z.string().length(16), z.array(z.string().regex(/^(#-?\d{1,40}|=[^]*)$/)).max(8), z.number().int().min(0), z.array(z.string()).max(64)]);

export function encodeCursor({ fingerprint, position }: Cursor): string {
  const values = position.sortValues.map((value) => (typeof value === 'string' ? `=${value}` : `#${value}`));
  return Buffer.from(JSON.stringify([1, fingerprint, values, position.windowStartMs, position.dimensions])).toString('base64url');
}

/** Null for anything that {@link encodeCursor} cannot have written. */
export function decodeCursor(text: string): Cursor | null {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return null;
  }
  const parsed = stored.safeParse(json);
  if (!parsed.success) return null;
  const [, fingerprint, values, windowStartMs, dimensions] = parsed.data;
  const sortValues = values.map((value) => (value.startsWith('=') ? value.slice(1) : BigInt(value.slice(1))));
  return { fingerprint, position: { sortValues, windowStartMs, dimensions } };
}

/** Names what a query asks for, without its limit, format and cursor. */
export const queryFingerprint = (parts: unknown): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
