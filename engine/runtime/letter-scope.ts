/** Whose a rejected record is, as far as its bytes tell: the value of one key, found without parsing, for the record may be broken. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SPACE = 0x20;
/** No id is longer. */
const VALUE_BYTES_MAX = 200;
const NUMBER = /^-?[0-9][0-9.eE+-]*/;

/** The text of the first string or number under `key`; null where there is none that can be read. */
export function scopeOf(record: Uint8Array, key: string): string | null {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const name = `"${key}"`;
  const found = bytes.indexOf(name);
  if (found < 0) return null;
  let at = afterSpace(bytes, found + name.length);
  if (bytes[at] !== COLON) return null;
  at = afterSpace(bytes, at + 1);
  if (bytes[at] !== QUOTE) return NUMBER.exec(bytes.toString('latin1', at, at + VALUE_BYTES_MAX))?.[0] ?? null;
  const end = bytes.subarray(0, at + 1 + VALUE_BYTES_MAX).indexOf(QUOTE, at + 1);
  if (end < 0 || bytes.subarray(at, end).includes(BACKSLASH)) return null;
  return bytes.toString('utf8', at + 1, end);
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.byteLength && (bytes[at] as number) <= SPACE) at++;
  return at;
}
