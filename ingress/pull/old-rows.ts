/** The rows of a report that dedupe does not vouch for: identities by day, and what becomes of each row. 20 bytes a row. */

import { EngineError } from '../../engine/core/errors.ts';
import type { KnownAnswer } from './ports.ts';

const ID_BYTES = 16;
const FIRST_CAPACITY = 1_024;
/** Days of one report; AppsFlyer keeps 90, and detected fraud reaches as far back. */
const DATES_MAX = 400;

const KNOWN = 1;
const SKIPPED = 2;

class Day {
  ids = new Uint8Array(FIRST_CAPACITY * ID_BYTES);
  rows = new Uint32Array(FIRST_CAPACITY);
  count = 0;

  grow(): void {
    const ids = new Uint8Array(this.ids.length * 2);
    ids.set(this.ids);
    const rows = new Uint32Array(this.rows.length * 2);
    rows.set(this.rows);
    this.ids = ids;
    this.rows = rows;
  }
}

export class OldRows {
  readonly #days = new Map<string, Day>();
  /** By number of the row: 0 to append. */
  #fates = new Uint8Array(0);

  /** `write` writes an identity at the given place, or is false for a row that has none, which is then appended. Raises STATE_CORRUPT for a report of too many days. */
  add(eventDate: string, row: number, write: (out: Uint8Array, at: number) => boolean): void {
    let day = this.#days.get(eventDate);
    if (day === undefined) {
      if (this.#days.size >= DATES_MAX) throw new EngineError('STATE_CORRUPT', `a report has events of more than ${DATES_MAX} days`, { fix: 'ask AppsFlyer what this report is' });
      this.#days.set(eventDate, (day = new Day()));
    }
    if (day.count === day.rows.length) day.grow();
    if (!write(day.ids, day.count * ID_BYTES)) return;
    day.rows[day.count++] = row;
  }

  dates(): string[] {
    return [...this.#days.keys()].sort();
  }

  /** A copy. */
  idsOf(eventDate: string): Uint8Array {
    const day = this.#days.get(eventDate);
    return day === undefined ? new Uint8Array(0) : day.ids.slice(0, day.count * ID_BYTES);
  }

  settle(eventDate: string, answer: KnownAnswer): void {
    const day = this.#days.get(eventDate);
    if (day === undefined) return;
    for (let index = 0; index < day.count; index++) {
      const row = day.rows[index] as number;
      if (answer === null) this.#set(row, SKIPPED);
      else if (answer[index] === 1) this.#set(row, KNOWN);
    }
    this.#days.delete(eventDate);
  }

  fateOf(row: number): 'append' | 'known' | 'skipped' {
    const fate = this.#fates[row] ?? 0;
    return fate === 0 ? 'append' : fate === KNOWN ? 'known' : 'skipped';
  }

  #set(row: number, fate: number): void {
    if (row >= this.#fates.length) {
      const fates = new Uint8Array(Math.max(FIRST_CAPACITY, 2 * this.#fates.length, row + 1));
      fates.set(this.#fates);
      this.#fates = fates;
    }
    this.#fates[row] = fate;
  }
}
