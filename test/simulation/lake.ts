/**
 * The lake: takes the partitions' shares of each slot, has the production encoder read the rows again from the journal, and keeps what it
 * makes, durable from that moment. A slot that comes again must become the same files, to the byte.
 */

import { createHash } from 'node:crypto';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { diskErrorCode } from '../../engine/core/disk.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import { createRecordCursor, openLogLookup } from '../../engine/log/index.ts';
import type { TableData } from '../../sinks/lake/column-builder.ts';
import { encodeSlot } from '../../sinks/lake/encode-slot.ts';
import { DEFAULT_EVENTS_BOUNDS } from '../../sinks/lake/events-encoder.ts';
import { compareSlots } from '../../sinks/lake/spool.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';

interface Spooled {
  readonly slot: SlotId;
  readonly shares: readonly SlotShare[];
  readonly rowsPerFile: number;
  /** By name, a digest of the content. */
  readonly files: ReadonlyMap<string, string>;
  readonly rows: number;
}

interface Encoded {
  readonly files: Map<string, string>;
  readonly eventIds: string[];
}

export interface SimulatedLakeOptions {
  readonly disk: FaultyDisk;
  readonly journal: string;
  readonly partitionCount: number;
}

export class SimulatedLake {
  /** Takes nothing while it is. */
  away = false;
  /** What the encoder cannot read may be damage that was done to it. */
  damaged = false;
  /** Of the life at hand. */
  rowsPerFile = 100;
  /** A bug to plant: rows are written as they are encoded, with this added to what the file holds. */
  disturb: ((name: string, attempt: number) => string) | null = null;
  readonly #options: SimulatedLakeOptions;
  readonly #held = new Map<string, { slot: SlotId; shares: Map<number, SlotShare>; spooled: (slot: SlotId) => void }>();
  readonly #spooled = new Map<string, Spooled>();
  readonly #eventIds = new Set<string>();
  #progress: SlotId | null = null;
  #encodings = 0;

  constructor(options: SimulatedLakeOptions) {
    this.#options = options;
  }

  get rowCount(): number {
    let count = 0;
    for (const { rows } of this.#spooled.values()) count += rows;
    return count;
  }

  /** For the message of a story that does not settle. */
  toString(): string {
    const held = [...this.#held].map(([name, { shares }]) => `${name} has the shares of ${[...shares.keys()].join(' ')}`);
    return `${this.rowCount} rows, spooled up to ${this.#progress === null ? 'nothing' : slotName(this.#progress)}; held: ${held.join(', ') || 'nothing'}`;
  }

  get slotCount(): number {
    return this.#spooled.size;
  }

  /** The shares that wait are gone with their life; partitions hand them out again. */
  newLife(rowsPerFile: number): void {
    this.#held.clear();
    this.rowsPerFile = rowsPerFile;
  }

  /** `spooled`: every partition may drop its share of the slot. Raises what the encoder finds wrong. */
  accept(share: SlotShare, spooled: (slot: SlotId) => void): void {
    const name = slotName(share.slot);
    const done = this.#spooled.get(name);
    if (done !== undefined) {
      const known = done.shares[share.partition] as SlotShare;
      if (known.rowCount !== share.rowCount || !Buffer.from(known.entries).equals(share.entries)) throw new Error(`lake: slot ${name} of partition ${share.partition} came again with other rows (${known.rowCount} and ${share.rowCount})`);
    }
    if (this.#progress !== null && compareSlots(share.slot, this.#progress) <= 0) {
      spooled(share.slot);
      return;
    }
    const held = this.#held.get(name) ?? { slot: share.slot, shares: new Map<number, SlotShare>(), spooled };
    held.spooled = spooled;
    this.#held.set(name, held);
    held.shares.set(share.partition, share);
    this.pump();
  }

  /** Encodes what is whole, oldest first. */
  pump(): void {
    for (;;) {
      const [name, next] = [...this.#held].sort(([, left], [, right]) => compareSlots(left.slot, right.slot)).find(([, { shares }]) => shares.size === this.#options.partitionCount) ?? [];
      if (this.away || name === undefined || next === undefined) return;
      const shares = [...next.shares.values()].sort((left, right) => left.partition - right.partition);
      const encoded = this.#encode(next.slot, shares, this.rowsPerFile);
      if (encoded === null) return;
      this.#held.delete(name);
      for (const id of encoded.eventIds) {
        if (this.#eventIds.has(id)) throw new Error(`lake: event ${id} is there twice, again in slot ${name}`);
        this.#eventIds.add(id);
      }
      this.#spooled.set(name, { slot: next.slot, shares, rowsPerFile: this.rowsPerFile, files: encoded.files, rows: encoded.eventIds.length });
      this.#progress = next.slot;
      next.spooled(next.slot);
    }
  }

  /** Every slot whose journal is still there becomes the same files again. */
  checkRewrites(oldestOffset: number, firstOffsetOf: (share: SlotShare) => number): void {
    for (const { slot, shares, rowsPerFile, files } of this.#spooled.values()) {
      if (shares.some((share) => firstOffsetOf(share) < oldestOffset)) continue;
      const again = this.#encode(slot, shares, rowsPerFile);
      if (again === null) throw new Error(`lake: slot ${slotName(slot)} cannot be encoded again`);
      if (again.files.size !== files.size || [...files].some(([name, digest]) => again.files.get(name) !== digest)) throw new Error(`lake: slot ${slotName(slot)} became other files when it was written again`);
    }
  }

  /** Null where the disk could not be read just now. */
  #encode(slot: SlotId, shares: readonly SlotShare[], rowsPerFile: number): Encoded | null {
    const { disk, journal } = this.#options;
    const encoded: Encoded = { files: new Map(), eventIds: [] };
    const attempt = ++this.#encodings;
    try {
      const lookup = openLogLookup({ directory: journal, disk: disk.session() });
      try {
        encodeSlot({
          slot,
          shares,
          pipeline: appsflyerPipeline,
          lookup,
          cursor: createRecordCursor(),
          bounds: { ...DEFAULT_EVENTS_BOUNDS, rowsPerFile },
          encodeTable: (table) => {
            encoded.eventIds.push(...textsOf(table, 'event_id'));
            return Buffer.from(digestOf(table));
          },
          emit: ({ path, bytes }) => encoded.files.set(path, `${Buffer.from(bytes).toString()}${this.disturb?.(path, attempt) ?? ''}`),
        });
      } finally {
        lookup.close();
      }
      return encoded;
    } catch (error) {
      if (error instanceof EngineError ? error.retryable || (this.damaged && error.code === 'JOURNAL_CORRUPT') : diskErrorCode(error) !== '') return null;
      throw error;
    }
  }
}

function textsOf(table: TableData, name: string): string[] {
  const text = table.columns.find((column) => column.name === name)?.text;
  if (text === null || text === undefined) throw new Error(`the lake has no text column ${name}`);
  return Array.from({ length: table.rowCount }, (_, row) => Buffer.from(text.bytes.subarray(text.offsets[row], text.offsets[row + 1])).toString());
}

function digestOf(table: TableData): string {
  const hash = createHash('sha1');
  hash.update(String(table.rowCount));
  for (const { name, nullCount, validity, values, text } of table.columns) {
    hash.update(`${name} ${nullCount}`).update(validity);
    if (values !== null) hash.update(values);
    if (text !== null) hash.update(text.offsets).update(text.bytes);
  }
  return hash.digest('hex');
}
