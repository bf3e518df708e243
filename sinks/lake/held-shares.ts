/**
 * Slot shares that wait until their slot is complete and the spool has room.
 *
 * Partitions keep their outbox until a slot is spooled, so nothing here needs to be durable. Shares are small (two bits a record), but a
 * long outage may gather hours of them: beyond `memoryBytesMax` their entries go to files in the spool's `held/`, which is emptied at each
 * start. A share that comes again (its thread was replaced) takes the place of the first, whose content it has. Main thread.
 */

import { join } from 'node:path';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import { assert } from '../../engine/core/types.ts';
import type { DirectFiles } from './files.ts';
import { compareSlots } from './spool.ts';

interface Held {
  readonly share: Omit<SlotShare, 'entries'>;
  readonly entries: Uint8Array | { readonly file: string };
}

interface HeldSlot {
  readonly slot: SlotId;
  readonly shares: Map<number, Held>;
}

export interface HeldSharesOptions {
  readonly partitionCount: number;
  readonly memoryBytesMax: number;
  /** Exists; nobody else writes there. */
  readonly directory: string;
  readonly files: DirectFiles;
}

export class HeldShares {
  readonly #options: HeldSharesOptions;
  readonly #slots = new Map<string, HeldSlot>();
  #memoryBytes = 0;

  constructor(options: HeldSharesOptions) {
    this.#options = options;
  }

  get slotCount(): number {
    return this.#slots.size;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  add(share: SlotShare): void {
    assert(share.partition >= 0 && share.partition < this.#options.partitionCount, `partition ${share.partition} is one of ${this.#options.partitionCount}`);
    const name = slotName(share.slot);
    let held = this.#slots.get(name);
    if (held === undefined) {
      held = { slot: share.slot, shares: new Map() };
      this.#slots.set(name, held);
    }
    const earlier = held.shares.get(share.partition);
    if (earlier !== undefined) this.#forget(earlier);
    const { entries, ...rest } = share;
    held.shares.set(share.partition, { share: rest, entries: this.#keep(name, share.partition, entries) });
  }

  /** The oldest slot whose shares are all here. Partitions send theirs in order, so no older one can still become complete. */
  oldestComplete(): SlotId | null {
    let oldest: SlotId | null = null;
    for (const { slot, shares } of this.#slots.values()) {
      if (shares.size === this.#options.partitionCount && (oldest === null || compareSlots(slot, oldest) < 0)) oldest = slot;
    }
    return oldest;
  }

  /** The shares of a complete slot by rising partition, entries in memory. */
  sharesOf(slot: SlotId): SlotShare[] {
    const held = this.#slots.get(slotName(slot));
    assert(held !== undefined, `slot ${slotName(slot)} is held`);
    return [...held.shares.values()]
      .map(({ share, entries }) => ({ ...share, entries: entries instanceof Uint8Array ? entries : new Uint8Array(this.#options.files.read(entries.file)) }))
      .sort((a, b) => a.partition - b.partition);
  }

  /** Forgets a slot and all older ones: they are spooled. */
  dropUpTo(slot: SlotId): void {
    for (const [name, held] of this.#slots) {
      if (compareSlots(held.slot, slot) > 0) continue;
      for (const share of held.shares.values()) this.#forget(share);
      this.#slots.delete(name);
    }
  }

  #keep(name: string, partition: number, entries: Uint8Array): Held['entries'] {
    if (this.#memoryBytes + entries.byteLength > this.#options.memoryBytesMax) {
      const file = join(this.#options.directory, `${name}.p${partition}`);
      try {
        this.#options.files.write(file, entries);
        return { file };
      } catch {
        // No room on disk either: memory takes it. What can gather is bounded by the journal, which then closes the door.
      }
    }
    this.#memoryBytes += entries.byteLength;
    return entries;
  }

  #forget(held: Held): void {
    if (held.entries instanceof Uint8Array) {
      this.#memoryBytes -= held.entries.byteLength;
      return;
    }
    try {
      this.#options.files.removeTree(held.entries.file);
    } catch {
      // What a disk does not give up now goes with the folder at the next start.
    }
  }
}
