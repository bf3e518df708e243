/**
 * How many dead letters there are, and which leave first: sums over runs of letters in the order of their ids, the strata.
 *
 * The oldest stratum leaves as a whole, so that expiry is a function of the log (what has been added, when, under which limits) and not of what
 * happens to be stored. A stratum takes about a 64th of either limit: so little leaves too early. Memory: {@link STRATA_MAX} strata.
 */

/** A stratum is full at this part of a limit. Chosen: what leaves at once is small beside what stays. */
const SHARE = 64;
/** Letters that are dropped by hand leave strata half empty; beyond this many the two oldest become one. Chosen. */
const STRATA_MAX = 256;

export interface LetterLimits {
  /** Of one partition. */
  readonly bytesMax: number;
  /** Log time. */
  readonly retentionMs: number;
}

/** As it is stored, too: never reorder. */
export type Stratum = [lastId: number, letters: number, waiting: number, bytes: number, firstAtMs: number, lastAtMs: number];
const [LAST_ID, LETTERS, WAITING, BYTES, FIRST_AT, LAST_AT] = [0, 1, 2, 3, 4, 5] as const;

export class LetterStrata {
  /** Oldest first. */
  #strata: Stratum[] = [];
  bytes = 0;
  letters = 0;
  /** Those that nobody has retried with success. */
  waiting = 0;

  add(id: number, weight: number, atMs: number, { bytesMax, retentionMs }: LetterLimits): void {
    let newest = this.#strata[this.#strata.length - 1];
    if (newest === undefined || newest[BYTES] >= bytesMax / SHARE || atMs - newest[FIRST_AT] >= retentionMs / SHARE) {
      newest = [id, 0, 0, 0, atMs, atMs];
      this.#strata.push(newest);
      if (this.#strata.length > STRATA_MAX) this.#join();
    }
    newest[LAST_ID] = id;
    newest[LAST_AT] = atMs;
    this.#count(newest, 1, 1, weight);
  }

  /** A letter was dropped by hand. */
  drop(id: number, weight: number, wasWaiting: boolean): void {
    this.#count(this.#of(id), -1, wasWaiting ? -1 : 0, -weight);
  }

  /** It needs nobody any more. */
  settle(id: number): void {
    this.#count(this.#of(id), 0, -1, 0);
  }

  /** Why the oldest stratum has to leave; null while it may stay. The newest stays however large it is. */
  excess({ bytesMax, retentionMs }: LetterLimits, nowMs: number): 'bytes' | 'age' | null {
    const oldest = this.#strata[0];
    if (oldest === undefined) return null;
    if (oldest[LAST_AT] + retentionMs <= nowMs) return 'age';
    return this.bytes > bytesMax && this.#strata.length > 1 ? 'bytes' : null;
  }

  /** When the oldest stratum leaves by its age; Infinity without one. */
  nextAgeMs({ retentionMs }: LetterLimits): number {
    return (this.#strata[0]?.[LAST_AT] ?? Infinity) + retentionMs;
  }

  /** Takes the oldest stratum away. `lastId`: letters up to it are gone. */
  takeOldest(): { readonly lastId: number; readonly letters: number; readonly waiting: number } {
    const [lastId, letters, waiting, bytes] = this.#strata.shift() as Stratum;
    this.bytes -= bytes;
    this.letters -= letters;
    this.waiting -= waiting;
    return { lastId, letters, waiting };
  }

  /** When the oldest letter came that still waits, as far as strata tell; null where none does. */
  get oldestWaitingAtMs(): number | null {
    return this.#strata.find((stratum) => stratum[WAITING] > 0)?.[FIRST_AT] ?? null;
  }

  state(): Stratum[] {
    return this.#strata.map((stratum) => [...stratum]);
  }

  restore(strata: readonly Stratum[]): void {
    this.#strata = strata.map((stratum) => [...stratum]);
    const sum = (figure: typeof BYTES | typeof LETTERS | typeof WAITING): number => this.#strata.reduce((total, stratum) => total + stratum[figure], 0);
    this.bytes = sum(BYTES);
    this.letters = sum(LETTERS);
    this.waiting = sum(WAITING);
  }

  #count(stratum: Stratum, letters: number, waiting: number, bytes: number): void {
    stratum[LETTERS] += letters;
    stratum[WAITING] += waiting;
    stratum[BYTES] += bytes;
    this.letters += letters;
    this.waiting += waiting;
    this.bytes += bytes;
  }

  /** The stratum of a letter that is kept. */
  #of(id: number): Stratum {
    let [low, high] = [0, this.#strata.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#strata[middle] as Stratum)[LAST_ID] < id) low = middle + 1;
      else high = middle;
    }
    return this.#strata[low] as Stratum;
  }

  #join(): void {
    const [oldest, next] = this.#strata.splice(0, 2) as [Stratum, Stratum];
    this.#strata.unshift([next[LAST_ID], oldest[LETTERS] + next[LETTERS], oldest[WAITING] + next[WAITING], oldest[BYTES] + next[BYTES], oldest[FIRST_AT], next[LAST_AT]]);
  }
}
