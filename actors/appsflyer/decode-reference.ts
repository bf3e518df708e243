/**
 * The reference decoder: JSON.parse decides what is JSON, and its values are the fields. The scanner must agree with it
 * for any bytes (test/fuzz/decode.test.ts) and hands over to it whenever it is in doubt.
 *
 * A field's text is the string's characters, or for a number or boolean the token as it was sent: ids never become numbers.
 * `null`, objects and arrays count as absent; only `event_value` keeps an object's or array's raw text, for some senders
 * do not encode it twice.
 */

import { isUtf8 } from 'node:buffer';
import { topLevelTokens } from '../../engine/core/json-tokens.ts';
import type { FieldTable } from './field-table.ts';
import { Field, FIELD_NAMES } from './fields.ts';

/** Given the whole message and its text, to fill in what it has under other names. */
export type CompleteFields = (body: Readonly<Record<string, unknown>>, text: string) => void;

/** Fills `table` from `bytes[start, end)`; the fields are complete when it returns null. Never raises. */
export function decodeReference(bytes: Buffer, start: number, end: number, table: FieldTable, complete?: CompleteFields): 'NOT_JSON' | 'NOT_OBJECT' | null {
  table.begin();
  if (!isUtf8(bytes.subarray(start, end))) return 'NOT_JSON';
  const text = bytes.toString('utf8', start, end);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'NOT_JSON';
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'NOT_OBJECT';
  const body = parsed as Record<string, unknown>;
  let tokens: Map<string, string> | null = null;
  for (let field = 0; field < FIELD_NAMES.length; field++) {
    const name = FIELD_NAMES[field] as string;
    const value = Object.hasOwn(body, name) ? body[name] : null;
    if (typeof value === 'string') {
      table.setText(field as Field, value);
    } else if (typeof value === 'boolean') {
      table.setText(field as Field, String(value));
    } else if (value !== null && (typeof value !== 'object' || field === Field.eventValue)) {
      tokens ??= topLevelTokens(text, RAW_NAMES);
      table.setText(field as Field, tokens.get(name) as string);
    }
  }
  complete?.(body, text);
  return null;
}

const RAW_NAMES: ReadonlySet<string> = new Set(FIELD_NAMES);
