/**
 * Form-encoded pairs (`k=v&k=v`, a GET's query or a body) as the JSON object they stand for: all values strings, in order.
 *
 * Never raises and builds no object, so that no key can do harm; a key that comes twice is written twice, and means what JSON.parse
 * makes of it: the last one. A broken percent-encoding stands for itself; bytes that are not UTF-8 become U+FFFD.
 */

/** Chosen: AppsFlyer's messages have about 150 fields. What has more is no message. */
export const FORM_PAIRS_MAX = 1_000;
/** Characters in which the first key must end for a body to count as form-encoded. */
const FIRST_KEY_LENGTH_MAX = 256;
const FIRST_KEY = /^[\w.\-~%+*[\]$]{1,256}=/;

/** The object's text in UTF-8, or null when there are too many pairs. An empty text is an empty object. */
export function formToJson(text: string): Buffer | null {
  const members: string[] = [];
  let from = 0;
  while (from < text.length) {
    const ampersand = text.indexOf('&', from);
    const to = ampersand < 0 ? text.length : ampersand;
    if (to > from) {
      if (members.length === FORM_PAIRS_MAX) return null;
      const equals = text.indexOf('=', from);
      const keyEnd = equals < 0 || equals > to ? to : equals;
      members.push(`${JSON.stringify(decode(text.slice(from, keyEnd)))}:${JSON.stringify(decode(text.slice(Math.min(keyEnd + 1, to), to)))}`);
    }
    from = to + 1;
  }
  return Buffer.from(`{${members.join(',')}}`, 'utf8');
}

/** Whether a body looks like pairs rather than JSON, whatever its content type says. */
export function looksLikeForm(bytes: Buffer, start: number, end: number): boolean {
  return FIRST_KEY.test(bytes.toString('latin1', start, Math.min(end, start + FIRST_KEY_LENGTH_MAX + 1)));
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return decodeLeniently(spaced);
  }
}

function decodeLeniently(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  let length = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    const high = bytes[at] === 0x25 ? hexDigit(bytes[at + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(bytes[at + 2]);
    if (low < 0) {
      bytes[length++] = bytes[at] as number;
    } else {
      bytes[length++] = high * 16 + low;
      at += 2;
    }
  }
  return bytes.toString('utf8', 0, length);
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
