/**
 * Raw tokens of a JSON object's top-level values, for the rare values whose text JSON.parse does not keep: numbers and objects.
 *
 * Only for text that JSON.parse has accepted as an object: it checks nothing and would misread anything else. Linear, no
 * recursion, so depth is harmless. Off the hot path: the fast decoders fall back to it.
 */

/**
 * The raw text of the value under each of the `wanted` top-level keys that is there; of a repeated key the last one's,
 * as JSON.parse has it.
 */
export function topLevelTokens(text: string, wanted: ReadonlySet<string>): Map<string, string> {
  const tokens = new Map<string, string>();
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const token = text.slice(at, keyEnd);
    const key = token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const valueEnd = endOfValue(text, valueStart);
    if (wanted.has(key)) tokens.set(key, text.slice(valueStart, valueEnd));
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return tokens;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b;
const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d;

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** Position after the closing quote of the string that opens at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at++;
  }
  return at;
}

function endOfValue(text: string, from: number): number {
  let at = from;
  let depth = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (depth === 0 && (code === COMMA || isClosing(code) || isSpace(code))) return at;
    if (isOpening(code)) depth++;
    if (isClosing(code)) depth--;
    at++;
    if (depth === 0 && isClosing(code)) return at;
  }
  return at;
}
