/**
 * Fingerprints that no settled checkpoint holds yet, in arrival order by bucket. Appending never copies what is there: the list
 * grows by blocks. Owned by the actor thread; {@link PendingFingerprints.append} is hot (see dedupe.ts).
 */

import { assert } from '../../engine/core/types.ts';
import { FINGERPRINT_WORDS } from './dedupe-run.ts';
import type { NewFingerprints, Visit } from './dedupe-runs.ts';

/** 16 KiB a block (chosen: one allocation per 1,024 fingerprints). */
const BLOCK_WORDS = 1_024 * FINGERPRINT_WORDS;
/** Settled blocks kept for reuse. */
const SPARE_BLOCKS_MAX = 8;

/** What arrived in one bucket between two checkpoints. */
interface Group {
  readonly bucket: number;
  readonly blocks: Uint32Array[];
  count: number;
}

export class PendingFingerprints {
  #groups: Group[] = [];
  #spare: Uint32Array[] = [];
  #open: Group | null = null;
  #block: Uint32Array = new Uint32Array(0);
  #blockUsed = 0;
  /** Groups from the front that the checkpoint under way holds. */
  #taken = 0;

  get byteLength(): number {
    let blocks = this.#spare.length;
    for (const group of this.#groups) blocks += group.blocks.length;
    return blocks * BLOCK_WORDS * 4;
  }

  append(fingerprint: Uint32Array, bucket: number): void {
    let open = this.#open;
    if (open === null || open.bucket !== bucket) open = this.#begin(bucket);
    if (this.#blockUsed === this.#block.length) this.#addBlock(open);
    const at = this.#blockUsed;
    const block = this.#block;
    block[at] = fingerprint[0] as number;
    block[at + 1] = fingerprint[1] as number;
    block[at + 2] = fingerprint[2] as number;
    block[at + 3] = fingerprint[3] as number;
    this.#blockUsed = at + FINGERPRINT_WORDS;
    open.count++;
  }

  /** All there is, one entry per bucket; what comes later belongs to the next checkpoint. */
  take(): NewFingerprints[] {
    this.#open = null;
    this.#taken = this.#groups.length;
    const taken: NewFingerprints[] = [];
    for (let from = 0; from < this.#groups.length; ) {
      const { bucket } = this.#groups[from] as Group;
      let to = from;
      let count = 0;
      for (; to < this.#groups.length && this.#groups[to]?.bucket === bucket; to++) count += (this.#groups[to] as Group).count;
      const words = new Uint32Array(count * FINGERPRINT_WORDS);
      let at = 0;
      for (const group of this.#groups.slice(from, to)) at = copyGroup(group, words, at);
      taken.push({ bucket, count, words });
      from = to;
    }
    return taken;
  }

  /** What was taken has settled and is forgotten here. */
  settled(): void {
    this.#drop(this.#taken);
    this.#taken = 0;
  }

  /** What was taken stays for the next checkpoint. */
  failed(): void {
    this.#taken = 0;
  }

  expireBefore(bucketMin: number): void {
    let expired = 0;
    while (expired < this.#groups.length && (this.#groups[expired] as Group).bucket < bucketMin) expired++;
    this.#drop(expired);
    this.#taken = Math.max(0, this.#taken - expired);
  }

  forEach(visit: Visit): void {
    for (const group of this.#groups) {
      const words = new Uint32Array(group.count * FINGERPRINT_WORDS);
      copyGroup(group, words, 0);
      visit(words, group.bucket);
    }
  }

  #begin(bucket: number): Group {
    const group: Group = { bucket, blocks: [], count: 0 };
    this.#groups.push(group);
    this.#open = group;
    this.#block = new Uint32Array(0);
    this.#blockUsed = 0;
    return group;
  }

  #addBlock(group: Group): void {
    this.#block = this.#spare.pop() ?? new Uint32Array(BLOCK_WORDS);
    this.#blockUsed = 0;
    group.blocks.push(this.#block);
  }

  #drop(groups: number): void {
    for (const group of this.#groups.splice(0, groups)) {
      if (group === this.#open) this.#open = null;
      for (const block of group.blocks) if (this.#spare.length < SPARE_BLOCKS_MAX) this.#spare.push(block);
    }
  }
}

function copyGroup(group: Group, words: Uint32Array, at: number): number {
  const end = at + group.count * FINGERPRINT_WORDS;
  let to = at;
  for (const block of group.blocks) {
    const part = block.subarray(0, Math.min(block.length, end - to));
    words.set(part, to);
    to += part.length;
  }
  assert(to === end, 'a pending group has the blocks it counts');
  return end;
}
