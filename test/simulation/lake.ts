/** What the lake is given: shares of slots, durable from the moment they come. A share that comes again must be the same. */

import { slotName, type SlotShare } from '../../engine/core/lake-slot.ts';

export class SimulatedLake {
  readonly #partitionCount: number;
  readonly #slots = new Map<string, Map<number, SlotShare>>();

  constructor(partitionCount: number) {
    this.#partitionCount = partitionCount;
  }

  /** True when every partition's share of the slot is here. */
  accept(share: SlotShare): boolean {
    const name = slotName(share.slot);
    const shares = this.#slots.get(name) ?? new Map<number, SlotShare>();
    this.#slots.set(name, shares);
    const known = shares.get(share.partition);
    if (known !== undefined && (known.rowCount !== share.rowCount || !Buffer.from(known.entries).equals(share.entries))) {
      throw new Error(`lake: slot ${name} of partition ${share.partition} came again with other rows (${known.rowCount} and ${share.rowCount})`);
    }
    shares.set(share.partition, share);
    return shares.size === this.#partitionCount;
  }

  get rowCount(): number {
    let count = 0;
    for (const shares of this.#slots.values()) for (const { rowCount } of shares.values()) count += rowCount;
    return count;
  }
}
