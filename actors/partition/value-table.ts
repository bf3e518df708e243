/**
 * Texts as small numbers: dimension values, labels and names of breakdowns, each kept once for all cells of a thread that mention it.
 *
 * Who keeps a number has a use of it; a text that nobody uses any more leaves, and its number is given again. So what stands here is
 * bounded by the cells in memory. Numbers are of this life and this thread alone: nothing that is stored, told or hashed depends on them.
 *
 * Hot path: 1 M look-ups a second, at most 100 ns a look-up; bench/micro/cells.ts. {@link ValueTable.find}. Shared by the partitions of a thread.
 */

import { assert } from '../../engine/core/types.ts';

/** No text has this number. */
export const NONE = -1;
/** Places of the short way. Chosen: some thousands of campaigns beside the few values of other dimensions; 48 KiB. */
const PLACES = 4_096;
const PRIME = 0x01000193;

export class ValueTable {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  /** A direct-mapped table in front of the map: what repeats is found by comparing one pointer. */
  readonly #placeTexts = new Array<string>(PLACES).fill('');
  readonly #placeNumbers = new Int32Array(PLACES).fill(NONE);

  /** Texts that somebody uses. */
  get size(): number {
    return this.#numbers.size;
  }

  /** The text's number, or {@link NONE}. */
  find(text: string): number {
    const place = placeOf(text);
    const number = this.#placeNumbers[place] as number;
    return number !== NONE && this.#placeTexts[place] === text ? number : this.#findSlowly(text, place);
  }

  /** The text's number, entered where it is new; one more use of it. */
  take(text: string): number {
    let number = this.find(text);
    if (number === NONE) number = this.#enter(text);
    (this.#uses[number] as number)++;
    return number;
  }

  /** One use less. */
  release(number: number): void {
    const uses = (this.#uses[number] as number) - 1;
    assert(uses >= 0, `value ${number} is let go once more than it was taken`);
    this.#uses[number] = uses;
    if (uses === 0) this.#forget(number);
  }

  text(number: number): string {
    return this.#texts[number] as string;
  }

  #findSlowly(text: string, place: number): number {
    const number = this.#numbers.get(text);
    if (number === undefined) return NONE;
    this.#placeTexts[place] = text;
    this.#placeNumbers[place] = number;
    return number;
  }

  #enter(text: string): number {
    const number = this.#free.pop() ?? this.#texts.length;
    this.#texts[number] = text;
    this.#uses[number] = 0;
    this.#numbers.set(text, number);
    return number;
  }

  #forget(number: number): void {
    const text = this.#texts[number] as string;
    const place = placeOf(text);
    if (this.#placeNumbers[place] === number) {
      this.#placeTexts[place] = '';
      this.#placeNumbers[place] = NONE;
    }
    this.#numbers.delete(text);
    this.#texts[number] = '';
    this.#free.push(number);
  }
}

/** From the length and three characters: ids and names mostly differ at their end. */
function placeOf(text: string): number {
  const { length } = text;
  if (length < 2) return length;
  const hash = Math.imul(length ^ (text.charCodeAt(length - 1) << 4) ^ (text.charCodeAt(length - 2) << 12) ^ (text.charCodeAt(length >> 1) << 20), PRIME);
  return (hash ^ (hash >>> 15)) & (PLACES - 1);
}
