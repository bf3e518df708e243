/**
 * Counts by name, few names most times: one array of names, each with its count behind it, no longer than needed. A map takes 220 bytes before it
 * holds five names, in each of very many cells. Names keep the order in which they came. Owned by a cell.
 */

export class Breakdown {
  /** name, count, name, count, ... */
  #pairs: (string | number)[];

  constructor(names: readonly string[] = [], counts: readonly number[] = []) {
    this.#pairs = new Array<string | number>(names.length * 2);
    names.forEach((name, index) => {
      this.#pairs[index * 2] = name;
      this.#pairs[index * 2 + 1] = counts[index] as number;
    });
  }

  get size(): number {
    return this.#pairs.length / 2;
  }

  /** Counts one under `name`, or under `otherwise` when it is new and there are `namesMax` names. */
  count(name: string, namesMax: number, otherwise: string): void {
    const pairs = this.#pairs;
    for (let at = 0; at < pairs.length; at += 2) {
      if (pairs[at] !== name) continue;
      (pairs[at + 1] as number)++;
      return;
    }
    if (this.size >= namesMax && name !== otherwise) this.count(otherwise, namesMax, otherwise);
    // Unlike push and spread, which take 17 places at once, this takes what is needed.
    else this.#pairs = pairs.concat(name, 1);
  }

  names(): string[] {
    return this.#pairs.filter((_, index) => index % 2 === 0) as string[];
  }

  counts(): number[] {
    return this.#pairs.filter((_, index) => index % 2 === 1) as number[];
  }

  /** Any name may be a key of it, `__proto__` too. */
  toRecord(): Record<string, number> {
    return Object.fromEntries(this.entries());
  }

  entries(): [name: string, count: number][] {
    const entries: [string, number][] = [];
    for (let at = 0; at < this.#pairs.length; at += 2) entries.push([this.#pairs[at] as string, this.#pairs[at + 1] as number]);
    return entries;
  }
}
