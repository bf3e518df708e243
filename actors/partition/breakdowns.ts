/**
 * Counts by name of all cells of a partition: a chain of nodes for each cell that has any, in the order in which its names came.
 *
 * ```
 * node    name (a number of the thread's ValueTable) | next node, or NONE        two words, and a double for the count
 * ```
 * Most cells have none or few names: nodes take 16 bytes each, and a cell without any nothing.
 *
 * Hot path: 100 K names a second, at most 200 ns a name; bench/micro/cells.ts. {@link Breakdowns.count}. Owned by the partition.
 */

import { OTHER } from '../../engine/core/cell.ts';
import type { PackWriter } from './pack-writer.ts';
import { NONE, type ValueTable } from './value-table.ts';

/** Names of a cell's breakdown; further ones count as `other`. The pipeline's list is shorter: this holds if it should fail. */
const NAMES_MAX = 256;
/** Nodes in a block: chosen, 4 KiB. */
const BLOCK_BITS = 8;
const BLOCK_MASK = (1 << BLOCK_BITS) - 1;

interface Block {
  /** Name, next. */
  readonly words: Int32Array;
  readonly counts: Float64Array;
}

export class Breakdowns {
  readonly #values: ValueTable;
  readonly #namesMax: number;
  readonly #blocks: Block[] = [];
  #free = NONE;
  #end = 0;

  constructor(values: ValueTable, namesMax = NAMES_MAX) {
    this.#values = values;
    this.#namesMax = namesMax;
  }

  /** Counts one under `name` in the chain that begins with `first`, NONE for an empty one; returns where it begins now. */
  count(first: number, name: string): number {
    const number = this.#values.find(name);
    let [last, size] = [NONE, 0];
    for (let node = first; node !== NONE; node = this.#next(node)) {
      if (this.#name(node) === number) {
        (this.#block(node).counts[node & BLOCK_MASK] as number)++;
        return first;
      }
      last = node;
      size++;
    }
    if (size >= this.#namesMax && name !== OTHER) return this.count(first, OTHER);
    const node = this.#append(last, name, 1);
    return first === NONE ? node : first;
  }

  /** A chain of its own with these counts. */
  chain(names: readonly string[], counts: readonly number[]): number {
    let [first, last] = [NONE, NONE];
    for (let index = 0; index < names.length; index++) {
      last = this.#append(last, names[index] as string, counts[index] as number);
      if (first === NONE) first = last;
    }
    return first;
  }

  names(first: number): string[] {
    const names: string[] = [];
    for (let node = first; node !== NONE; node = this.#next(node)) names.push(this.#values.text(this.#name(node)));
    return names;
  }

  counts(first: number): number[] {
    const counts: number[] = [];
    for (let node = first; node !== NONE; node = this.#next(node)) counts.push(this.#block(node).counts[node & BLOCK_MASK] as number);
    return counts;
  }

  /** Names and counts, as a stored cell has them: two arrays, or twice nothing. */
  pack(first: number, into: PackWriter): void {
    if (first === NONE) {
      into.nil();
      into.nil();
      return;
    }
    let size = 0;
    for (let node = first; node !== NONE; node = this.#next(node)) size++;
    into.array(size);
    for (let node = first; node !== NONE; node = this.#next(node)) into.text(this.#values.text(this.#name(node)));
    into.array(size);
    for (let node = first; node !== NONE; node = this.#next(node)) into.number(this.#block(node).counts[node & BLOCK_MASK] as number);
  }

  /** Lets go of a whole chain. */
  free(first: number): void {
    for (let node = first; node !== NONE; ) {
      const next = this.#next(node);
      this.#values.release(this.#name(node));
      this.#block(node).words[(node & BLOCK_MASK) * 2 + 1] = this.#free;
      this.#free = node;
      node = next;
    }
  }

  #append(last: number, name: string, count: number): number {
    const node = this.#take();
    const { words, counts } = this.#block(node);
    const at = node & BLOCK_MASK;
    words[at * 2] = this.#values.take(name);
    words[at * 2 + 1] = NONE;
    counts[at] = count;
    if (last !== NONE) this.#block(last).words[(last & BLOCK_MASK) * 2 + 1] = node;
    return node;
  }

  #take(): number {
    if (this.#free !== NONE) {
      const node = this.#free;
      this.#free = this.#next(node);
      return node;
    }
    const node = this.#end++;
    this.#blocks[node >> BLOCK_BITS] ??= { words: new Int32Array(2 << BLOCK_BITS), counts: new Float64Array(1 << BLOCK_BITS) };
    return node;
  }

  #block(node: number): Block {
    return this.#blocks[node >> BLOCK_BITS] as Block;
  }

  #name(node: number): number {
    return this.#block(node).words[(node & BLOCK_MASK) * 2] as number;
  }

  #next(node: number): number {
    return this.#block(node).words[(node & BLOCK_MASK) * 2 + 1] as number;
  }
}
