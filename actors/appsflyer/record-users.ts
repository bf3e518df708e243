/**
 * Whose a record may be, for erasures: every text that stands under a name of a user, at the top or inside event_value, however often that was encoded.
 *
 * Found without decoding, for the bytes may be cut or no JSON at all; in time linear in them, whatever they are. It finds more than an event's own
 * user: whoever is named by one of these names. Off the hot path: it is asked while somebody is being erased, some 5 µs a record.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import type { RecordUsers } from '../../engine/core/erasure.ts';
import { USER_PARAMETERS } from './event-value.ts';
import { Field, fieldName, USER_FIELDS } from './fields.ts';
import { isPlaceholder } from './placeholders.ts';

const APP = fieldName(Field.appId);
const NAMES: readonly string[] = [...new Set([APP, ...USER_FIELDS.map(fieldName), ...USER_PARAMETERS])];
/** A member's name up to its value; inside a string that holds JSON there are backslashes before its quotes. */
const NAME = new RegExp(`"(${NAMES.join('|')})(\\\\*)"\\s*:\\s*`, 'g');
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
/** A longer value names nobody. */
const VALUE_CHARACTERS_MAX = 1_024;
/** JSON in a string in a string …: more backslashes are no quoting. */
const BACKSLASHES_MAX = 15;
const DECODINGS_MAX = 4;
/** A name may be spelled with escapes. */
const ESCAPED = '\\u00';

export function recordUsers(bytes: Buffer, start: number, end: number): RecordUsers {
  const raw = bytes.toString('utf8', start, end);
  const text = raw.includes(ESCAPED) ? plainly(raw) : raw;
  let scope: string | null = null;
  const users = new Set<string>();
  for (const { 0: whole, 1: name, 2: backslashes, index } of text.matchAll(NAME)) {
    const value = valueAt(text, index + whole.length, (backslashes as string).length);
    if (value === null) continue;
    // Inside event_value it would be some other app's; S2S records have theirs last.
    if (name === APP) scope = backslashes === '' ? dimensionValue(value) : scope;
    else if (!isPlaceholder(value)) users.add(value);
  }
  return { scope, users: [...users] };
}

/** With names and values spelled as short as JSON can; as it is where it is none. */
function plainly(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

/** The characters of a string whose quotes have so many backslashes before them, or a number as it stands; null for anything else. */
function valueAt(text: string, start: number, backslashes: number): string | null {
  if (backslashes > BACKSLASHES_MAX) return null;
  if (!text.startsWith(`${'\\'.repeat(backslashes)}"`, start)) {
    NUMBER.lastIndex = start;
    return NUMBER.exec(text)?.[0] ?? null;
  }
  const first = start + backslashes + 1;
  const window = text.slice(first, first + VALUE_CHARACTERS_MAX);
  for (let quote = window.indexOf('"'); quote >= 0; quote = window.indexOf('"', quote + 1)) {
    let before = 0;
    while (before < quote && window[quote - 1 - before] === '\\') before++;
    if (before === backslashes || (backslashes === 0 && before % 2 === 0)) return decoded(window.slice(0, quote - backslashes));
  }
  return null;
}

/** Of one that was encoded several times, each time. */
function decoded(quoted: string): string {
  let text = quoted;
  for (let times = 0; times < DECODINGS_MAX && text.includes('\\'); times++) {
    try {
      text = JSON.parse(`"${text}"`) as string;
    } catch {
      return text;
    }
  }
  return text;
}
