/**
 * Replaces values in JSON text by their key, and copies everything else byte for byte: numbers keep their digits, keys their order and repeats.
 *
 * A string that holds JSON itself is rewritten inside, as senders like to encode twice. What looks like JSON there and is none, for it was
 * cut, becomes null when it mentions a key: nobody can tell what it holds.
 */

import { assert } from '../../../engine/core/types.ts';

export interface RewriteOptions<Action> {
  /** By key. */
  readonly actions: ReadonlyMap<string, Action>;
  /** The JSON text to put in place of the value `token`. */
  readonly replace: (action: Action, token: string) => string;
  /** Only members of the outermost object, and no strings that hold JSON. */
  readonly topOnly?: boolean;
}

/** JSON in a string in a JSON string …: deeper ones are not opened, and become null when they mention a key. Chosen. */
const NESTED_MAX = 4;
const SPACE = /[ \t\r\n]*/y;

/** `text` is valid JSON. */
export function rewriteJson<Action>(text: string, options: RewriteOptions<Action>): string {
  return new Rewriter(text, options, 0).run();
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether a value of one of the keys may be in the text. A key may be spelled with escapes: then it can be anywhere. */
export function mentions(text: string, actions: ReadonlyMap<string, unknown>): boolean {
  if (text.includes('\\u') || text.includes('\\/')) return true;
  for (const key of actions.keys()) if (text.includes(key)) return true;
  return false;
}

class Rewriter<Action> {
  readonly #text: string;
  readonly #options: RewriteOptions<Action>;
  readonly #nested: number;
  #out = '';
  /** Everything before it is in `#out`. */
  #copied = 0;

  constructor(text: string, options: RewriteOptions<Action>, nested: number) {
    this.#text = text;
    this.#options = options;
    this.#nested = nested;
  }

  run(): string {
    const text = this.#text;
    /** Of the objects and arrays that are open: true for an object. */
    const open: boolean[] = [];
    let expectsKey = false;
    for (let at = 0; at < text.length; ) {
      const character = text[at];
      if (character === '"') {
        const end = stringEnd(text, at);
        if (expectsKey) at = this.#member(at, end, open.length);
        else {
          if (this.#options.topOnly !== true) this.#string(at, end);
          at = end;
        }
        expectsKey = false;
        continue;
      }
      if (character === '{' || character === '[') {
        open.push(character === '{');
        expectsKey = character === '{';
      } else if (character === '}' || character === ']') {
        open.pop();
        expectsKey = false;
      } else if (character === ',') expectsKey = open.at(-1) === true;
      at++;
    }
    return this.#out === '' ? text : this.#out + text.slice(this.#copied);
  }

  /** The key in `[start, end)`; returns where to go on: behind the value where it was replaced, else before it. */
  #member(start: number, end: number, depth: number): number {
    const text = this.#text;
    const valueStart = skipSpace(text, skipSpace(text, end) + 1);
    if (this.#options.topOnly === true && depth > 1) return valueStart;
    const action = this.#options.actions.get(JSON.parse(text.slice(start, end)) as string);
    if (action === undefined) return valueStart;
    const valueEnd = valueEndOf(text, valueStart);
    this.#put(valueStart, valueEnd, this.#options.replace(action, text.slice(valueStart, valueEnd)));
    return valueEnd;
  }

  #string(start: number, end: number): void {
    const token = this.#text.slice(start, end);
    if (!/^"\s*(?:[{["]|\\["trnu])/.test(token) || !mentions(token, this.#options.actions)) return;
    const inner = JSON.parse(token) as string;
    if (!/^\s*["[{]/.test(inner)) return;
    const rewritten = this.#nested < NESTED_MAX && isJson(inner) ? JSON.stringify(new Rewriter(inner, this.#options, this.#nested + 1).run()) : 'null';
    if (rewritten !== token) this.#put(start, end, rewritten);
  }

  #put(start: number, end: number, replacement: string): void {
    this.#out += this.#text.slice(this.#copied, start) + replacement;
    this.#copied = end;
  }
}

/** Behind the quote that closes the string whose first quote stands at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    assert(quote >= 0, 'what is rewritten is JSON');
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes++;
    at = quote + 1;
    if (backslashes % 2 === 0) return at;
  }
}

function valueEndOf(text: string, start: number): number {
  if (text[start] === '"') return stringEnd(text, start);
  if (text[start] !== '{' && text[start] !== '[') {
    let at = start;
    while (at < text.length && !',]} \t\r\n'.includes(text[at] as string)) at++;
    return at;
  }
  let depth = 0;
  for (let at = start; ; ) {
    const character = text[at];
    assert(character !== undefined, 'what is rewritten is JSON');
    if (character === '"') {
      at = stringEnd(text, at);
      continue;
    }
    if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1;
    at++;
  }
}

function skipSpace(text: string, from: number): number {
  SPACE.lastIndex = from;
  SPACE.test(text);
  return SPACE.lastIndex;
}
