/**
 * Comma-separated lines, as RFC 4180 has them, read one record at a time: quoted fields with doubled quotes and line breaks, LF or CR LF,
 * a byte order mark before the first. Blank lines are passed over. Pure; the whole text is in memory, one record's fields at a time beside it.
 */

const QUOTE = '"';

/** Raised where a quoted field never ends, or goes on behind its end: what follows cannot be told from it. */
export class CsvError extends Error {
  override readonly name = 'CsvError';
}

export function* csvRecords(text: string): Generator<string[]> {
  let at = text.startsWith('\ufeff') ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const fields: string[] = [];
    const firstLine = line;
    for (;;) {
      let field: string;
      if (text[at] === QUOTE) {
        const end = endOfQuoted(text, at);
        if (end < 0) throw new CsvError(`line ${firstLine}: a quoted field does not end`);
        field = text.slice(at + 1, end).replaceAll('""', QUOTE);
        line += countOf(field, '\n');
        at = end + 1;
      } else {
        const end = endOfPlain(text, at);
        field = text.slice(at, end);
        at = end;
      }
      fields.push(field);
      if (text[at] === ',') {
        at++;
        continue;
      }
      if (at < text.length && text[at] !== '\n' && text[at] !== '\r') throw new CsvError(`line ${line}: something stands behind a quoted field`);
      break;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    line++;
    if (fields.length > 1 || fields[0] !== '') yield fields;
  }
}

/** Position of the quote that ends the field which begins at `start`; -1 for none. */
function endOfQuoted(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf(QUOTE, at);
    if (quote < 0) return -1;
    if (text[quote + 1] !== QUOTE) return quote;
    at = quote + 2;
  }
}

function endOfPlain(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2c || code === 0x0a || code === 0x0d) break;
  }
  return at;
}

function countOf(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count++;
  return count;
}
