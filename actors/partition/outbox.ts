/**
 * The lake outbox of one partition: what became of its records, slot by slot, as journal positions and verdicts.
 *
 * A slot's entries are stored in chunks, one per checkpoint, so that a restart goes on in the middle of a slot and a checkpoint
 * writes only what is new. A slot that the log has passed is handed out as one share, after a restart again, until it is spooled.
 * Slot ids are a function of batch headers and rules: all partitions agree on them. A slot counts as needing its journal range
 * until the checkpoint that removes it is committed.
 *
 * Key: slot start (8 bytes, big-endian ms), part (4), chunk (4; 0 is the slot's head). Owned by the partition.
 */

import { decodeStored, pack, unpack } from '../../engine/core/codec.ts';
import { meaningOf, type Erasure, type PlacedErasure } from '../../engine/core/erasure.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import type { BatchHeader } from '../../engine/core/log.ts';
import type { DedupeMode, Rules } from '../../engine/core/rules.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { assert, type Offset } from '../../engine/core/types.ts';
import { readVerdictLog, VerdictLogWriter } from '../../engine/core/verdict-log.ts';
import { TABLES } from './options.ts';

interface Chunk {
  readonly number: number;
  /** Null once the store has it. */
  bytes: Uint8Array | null;
  isSaving: boolean;
}

interface Slot {
  readonly id: SlotId;
  /** Multiple of `slotMs` in which it began; by it the next one is told. */
  readonly stretchMs: number;
  readonly dedupe: DedupeMode;
  readonly lakeRules: string;
  readonly chunks: Chunk[];
  /** Those that came since it began, with the number of the last record of this partition that each means. */
  erasures: readonly PlacedErasure[];
  journalBytes: number;
  rowCount: number;
  /** By journal: offset of its first batch with rows; Infinity, or no entry, while it has none. */
  readonly firstOffsets: number[];
  isPassed: boolean;
  isTaken: boolean;
  isSpooled: boolean;
  isHeadDirty: boolean;
  /** Its removal is part of the checkpoint in flight. */
  isLeaving: boolean;
}

/** Rules and erasures stand in it only where there are any, so that what was stored without them reads the same. */
type StoredModes = DedupeMode | readonly [dedupe: DedupeMode, lakeRules: string, erasures?: readonly PlacedErasure[]];
type StoredHead = [stretchMs: number, modes: StoredModes, journalBytes: number, rowCount: number, firstOffset: number, isPassed: boolean, ...ofOtherJournals: number[]];

export class Outbox {
  readonly #partition: number;
  readonly #store: OrderedStore;
  /** In order; the last one is open unless the outbox is new. */
  #slots: Slot[] = [];
  #writer = new VerdictLogWriter();
  /** What of the rules in use the lake obeys; '' for nothing. Set by the partition with each rules record. */
  lakeRules = '';
  #freshBytes = 0;
  #untaken = 0;

  constructor(partition: number, store: OrderedStore) {
    this.#partition = partition;
    this.#store = store;
    this.#restore();
  }

  /** Bytes that wait for a checkpoint. */
  get freshBytes(): number {
    return this.#freshBytes + this.#writer.byteLength;
  }

  /** Every batch, before its records. */
  tick(batch: BatchHeader, rules: Rules): void {
    const { lakeRules } = this;
    const stretchMs = Math.floor(batch.receivedAtMs / rules.slotMs) * rules.slotMs;
    let open = this.#slots[this.#slots.length - 1];
    if (open === undefined || open.stretchMs !== stretchMs || open.journalBytes >= rules.slotBytesMax || open.dedupe !== rules.dedupe || open.lakeRules !== lakeRules) {
      if (open !== undefined) this.#pass(open);
      open = { ...emptySlot, id: nextSlotId(open?.id, stretchMs), stretchMs, dedupe: rules.dedupe, lakeRules, chunks: [], firstOffsets: [] };
      this.#slots.push(open);
    }
    open.journalBytes += batch.endOffset - batch.offset;
    open.isHeadDirty = true;
  }

  /** A batch with `rows` accepted or late records among `count`. */
  append({ offset, journal }: Pick<BatchHeader, 'offset' | 'journal'>, firstSequence: number, verdicts: Uint8Array, count: number, rows: number): void {
    const open = this.#slots[this.#slots.length - 1];
    assert(open !== undefined, 'a record came before the first tick under rules');
    this.#writer.append(offset, firstSequence, verdicts, count, journal);
    open.rowCount += rows;
    while (open.firstOffsets.length <= journal) open.firstOffsets.push(Infinity);
    open.firstOffsets[journal] = Math.min(open.firstOffsets[journal] as number, offset);
  }

  /** Records up to `upTo` may be an erased user's, or of purged days: what was handed out already is handed out again. */
  erase(erasure: Erasure, upTo: number): void {
    for (const slot of this.#slots) {
      if (slot.isSpooled) continue;
      // One of the same meaning that came earlier means less.
      slot.erasures = [...slot.erasures.filter(([, one]) => meaningOf(one) !== meaningOf(erasure)), [upTo, erasure]];
      slot.isHeadDirty = true;
      if (!slot.isTaken) continue;
      slot.isTaken = false;
      this.#untaken++;
    }
  }

  takeShares(): SlotShare[] {
    if (this.#untaken === 0) return [];
    this.#untaken = 0;
    return this.#slots
      .filter((slot) => slot.isPassed && !slot.isTaken && !slot.isSpooled)
      .map((slot) => {
        slot.isTaken = true;
        return { partition: this.#partition, slot: slot.id, dedupe: slot.dedupe, ...(slot.lakeRules !== '' && { lakeRules: slot.lakeRules }), ...(slot.erasures.length > 0 && { erasures: slot.erasures }), rowCount: slot.rowCount, entries: this.#entriesOf(slot) };
      });
  }

  /** True when a checkpoint now has a slot to remove. */
  spooled(upTo: SlotId): boolean {
    let found = false;
    for (const slot of this.#slots) {
      if (!slot.isPassed || slot.isSpooled || compareSlots(slot.id, upTo) > 0) continue;
      slot.isSpooled = true;
      found = true;
    }
    return found;
  }

  /** By journal: the oldest offset that a slot still needs, else that of `otherwise`. */
  pendingOffsets(otherwise: readonly Offset[]): Offset[] {
    return otherwise.map((own, journal) => {
      let offset = Infinity;
      for (const slot of this.#slots) offset = Math.min(offset, slot.firstOffsets[journal] ?? Infinity);
      return offset === Infinity ? own : (offset as Offset);
    });
  }

  get passedCount(): number {
    return this.#slots.reduce((count, slot) => count + (slot.isPassed ? 1 : 0), 0);
  }

  checkpoint(operations: StoreOperation[]): void {
    const open = this.#slots[this.#slots.length - 1];
    if (open !== undefined) this.#sealChunk(open);
    for (const slot of this.#slots) {
      if (slot.isSpooled) {
        slot.isLeaving = true;
        operations.push({ table: TABLES.outbox, key: slotKey(slot.id, 0), value: null });
        for (const { number } of slot.chunks) operations.push({ table: TABLES.outbox, key: slotKey(slot.id, number), value: null });
        continue;
      }
      if (slot.isHeadDirty) {
        slot.isHeadDirty = false;
        operations.push({ table: TABLES.outbox, key: slotKey(slot.id, 0), value: encodeHead(slot) });
      }
      for (const chunk of slot.chunks) {
        if (chunk.bytes === null) continue;
        chunk.isSaving = true;
        operations.push({ table: TABLES.outbox, key: slotKey(slot.id, chunk.number), value: chunk.bytes });
      }
    }
  }

  checkpointCommitted(): void {
    for (const slot of this.#slots) {
      // Spooled so early that some of its chunks were never stored.
      if (slot.isLeaving) for (const chunk of slot.chunks) this.#freshBytes -= chunk.bytes?.byteLength ?? 0;
    }
    this.#slots = this.#slots.filter((slot) => !slot.isLeaving);
    for (const slot of this.#slots) {
      for (const chunk of slot.chunks) {
        if (!chunk.isSaving) continue;
        chunk.isSaving = false;
        this.#freshBytes -= chunk.bytes?.byteLength ?? 0;
        chunk.bytes = null;
      }
    }
  }

  checkpointFailed(): void {
    for (const slot of this.#slots) {
      slot.isLeaving = false;
      slot.isHeadDirty = true;
      for (const chunk of slot.chunks) chunk.isSaving = false;
    }
  }

  #pass(slot: Slot): void {
    this.#sealChunk(slot);
    slot.isPassed = true;
    slot.isHeadDirty = true;
    this.#untaken++;
  }

  /** Puts what the writer holds under a chunk of its own. */
  #sealChunk(slot: Slot): void {
    if (this.#writer.byteLength === 0) return;
    const bytes = this.#writer.bytes();
    slot.chunks.push({ number: (slot.chunks[slot.chunks.length - 1]?.number ?? 0) + 1, bytes, isSaving: false });
    this.#freshBytes += bytes.byteLength;
    this.#writer = new VerdictLogWriter();
  }

  /** One packed list over all chunks: the same bytes wherever checkpoints fell. */
  #entriesOf(slot: Slot): Uint8Array {
    const parts = slot.chunks.map((chunk) => {
      const bytes = chunk.bytes ?? this.#store.get(TABLES.outbox, slotKey(slot.id, chunk.number));
      assert(bytes !== null, 'a chunk of a slot is gone from the store');
      return bytes;
    });
    if (parts.length === 1) return (parts[0] as Uint8Array).slice();
    const whole = new VerdictLogWriter();
    for (const part of parts) {
      for (const { journal, batchOffset, firstSequence, verdicts } of readVerdictLog(part)) whole.append(batchOffset, firstSequence, verdicts, verdicts.byteLength, journal);
    }
    return whole.bytes();
  }

  #restore(): void {
    for (const { key, value } of this.#store.range(TABLES.outbox, {})) {
      const { id, chunk } = parseSlotKey(key);
      if (chunk === 0) this.#slots.push(decodeHead(id, value));
      else {
        const slot = this.#slots[this.#slots.length - 1];
        if (slot === undefined || compareSlots(slot.id, id) !== 0) throw new EngineError('STATE_CORRUPT', `a part of lake slot ${slotName(id)} has no head`, { fix: 'restore the state from a savepoint' });
        slot.chunks.push({ number: chunk, bytes: null, isSaving: false });
      }
    }
    this.#untaken = this.passedCount;
  }
}

const compareSlots = (left: SlotId, right: SlotId): number => left.startMs - right.startMs || left.part - right.part;

/** Starts never go back, also when a new `slotMs` would say so: then the slot is a further part of the last start. */
function nextSlotId(last: SlotId | undefined, stretchMs: number): SlotId {
  const startMs = Math.max(stretchMs, last?.startMs ?? 0);
  const part = last !== undefined && startMs === last.startMs ? last.part + 1 : 0;
  return { startMs, part };
}

const emptySlot = { erasures: [] as readonly PlacedErasure[], journalBytes: 0, rowCount: 0, isPassed: false, isTaken: false, isSpooled: false, isHeadDirty: true, isLeaving: false } as const;

function encodeHead(slot: Slot): Uint8Array {
  const [first = Infinity, ...others] = slot.firstOffsets;
  const head: StoredHead = [slot.stretchMs, modesOf(slot), slot.journalBytes, slot.rowCount, first, slot.isPassed, ...others];
  return pack(head);
}

function modesOf({ dedupe, lakeRules, erasures }: Slot): StoredModes {
  if (erasures.length > 0) return [dedupe, lakeRules, erasures];
  return lakeRules === '' ? dedupe : [dedupe, lakeRules];
}

function decodeHead(id: SlotId, value: Uint8Array): Slot {
  return decodeStored('the head of a lake slot', () => {
    const [stretchMs, modes, journalBytes, rowCount, firstOffset, isPassed, ...others] = unpack<StoredHead>(value);
    if (![stretchMs, journalBytes, rowCount, firstOffset, ...others].every((figure) => typeof figure === 'number')) throw new TypeError('a figure is no number');
    const [dedupe, lakeRules, erasures = []] = typeof modes === 'string' ? [modes, ''] : modes;
    return { ...emptySlot, id, stretchMs, dedupe, lakeRules, erasures, chunks: [], journalBytes, rowCount, firstOffsets: [firstOffset, ...others], isPassed, isHeadDirty: false };
  });
}

function slotKey(id: SlotId, chunk: number): Uint8Array {
  const key = Buffer.alloc(16);
  key.writeBigUInt64BE(BigInt(id.startMs), 0);
  key.writeUInt32BE(id.part, 8);
  key.writeUInt32BE(chunk, 12);
  return key;
}

function parseSlotKey(bytes: Uint8Array): { readonly id: SlotId; readonly chunk: number } {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { id: { startMs: Number(key.readBigUInt64BE(0)), part: key.readUInt32BE(8) }, chunk: key.readUInt32BE(12) };
}
