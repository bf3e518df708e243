/**
 * Cuts a body of many records, NDJSON or a JSON array, into the spans of its records. It does not judge them.
 *
 * Every byte that is not white space, a separating comma or the array's own brackets lies in exactly one span, and each span is the
 * sender's own bytes: nothing is parsed and written anew, which would change long numbers. Whatever follows a truncated element
 * or the array's end is one more span. Blank lines and empty elements are no records. A leading byte order mark is skipped.
 * One pass, no recursion: depth is a number.
 */

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Where each record lies: `[start(i), end(i))` in the bytes that were split. Grows by doubling up to its limit. */
export class Spans {
  count = 0;
  #bounds = new Uint32Array(256);

  start(index: number): number {
    return this.#bounds[index * 2] as number;
  }

  end(index: number): number {
    return this.#bounds[index * 2 + 1] as number;
  }

  push(start: number, end: number): void {
    if (this.count * 2 === this.#bounds.length) {
      const grown = new Uint32Array(this.#bounds.length * 2);
      grown.set(this.#bounds);
      this.#bounds = grown;
    }
    this.#bounds[this.count * 2] = start;
    this.#bounds[this.count * 2 + 1] = end;
    this.count++;
  }
}

/**
 * The spans of `bytes[start, end)`, or null when there are more than `countMax`. With `lines` the sender has said that it is NDJSON;
 * without, a leading bracket begins an array, unless the line after its end holds more: then it was one bad line of many, and the
 * others must not share its fate.
 */
export function splitRecords(bytes: Buffer, start: number, end: number, countMax: number, lines: boolean): Spans | null {
  const body = skipBlank(bytes, skipByteOrderMark(bytes, start, end), end);
  if (!lines && body < end && bytes[body] === OPEN_BRACKET) {
    const spans = new Spans();
    const outcome = splitArray(bytes, body + 1, end, spans, countMax);
    if (outcome !== ArrayOutcome.lines) return outcome === ArrayOutcome.whole ? spans : null;
  }
  const spans = new Spans();
  return splitLines(bytes, body, end, spans, countMax) ? spans : null;
}

const ArrayOutcome = { whole: 0, tooMany: 1, lines: 2 } as const;
type ArrayOutcome = (typeof ArrayOutcome)[keyof typeof ArrayOutcome];

function splitLines(bytes: Buffer, start: number, end: number, spans: Spans, countMax: number): boolean {
  let at = start;
  while (at < end) {
    const found = bytes.indexOf(LINE_FEED, at);
    const lineEnd = found < 0 || found > end ? end : found;
    if (!pushTrimmed(bytes, at, lineEnd, spans, countMax)) return false;
    at = lineEnd + 1;
  }
  return true;
}

function splitArray(bytes: Buffer, start: number, end: number, spans: Spans, countMax: number): ArrayOutcome {
  let elementStart = start;
  let depth = 0;
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      at = afterString(bytes, at + 1, end);
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++;
    } else if (depth > 0) {
      if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
    } else if (byte === COMMA) {
      if (!pushTrimmed(bytes, elementStart, at, spans, countMax)) return ArrayOutcome.tooMany;
      elementStart = at + 1;
    } else if (byte === CLOSE_BRACKET) {
      const next = skipBlank(bytes, at + 1, end);
      if (next < end && bytes.subarray(at + 1, next).includes(LINE_FEED)) return ArrayOutcome.lines;
      return outcomeOf(pushTrimmed(bytes, elementStart, at, spans, countMax) && pushTrimmed(bytes, next, end, spans, countMax));
    }
    at++;
  }
  return outcomeOf(pushTrimmed(bytes, elementStart, end, spans, countMax));
}

const outcomeOf = (fits: boolean): ArrayOutcome => (fits ? ArrayOutcome.whole : ArrayOutcome.tooMany);

/** Position after the closing quote, or the end. */
function afterString(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return end;
}

/** False when there is no room for one more. */
function pushTrimmed(bytes: Buffer, start: number, end: number, spans: Spans, countMax: number): boolean {
  const from = skipBlank(bytes, start, end);
  if (from === end) return true;
  let to = end;
  while (isBlank(bytes[to - 1] as number)) to--;
  if (spans.count === countMax) return false;
  spans.push(from, to);
  return true;
}

function skipBlank(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at] as number)) at++;
  return at;
}

const isBlank = (byte: number): boolean => byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;

const skipByteOrderMark = (bytes: Buffer, start: number, end: number): number =>
  end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf ? start + 3 : start;
