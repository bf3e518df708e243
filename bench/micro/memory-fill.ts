/**
 * What an actor thread of the daemon does to its memory: 32 partitions on LMDB files, filled with events of very many users over very many
 * cells, reported, settled and checkpointed in rotation. For bench/micro/memory.ts, which says what is measured and why.
 */

import { join } from 'node:path';
import { PARTITION_TABLES, PagePool, ValueTable } from '../../actors/partition/index.ts';
import type { LogBatch, LogSlice } from '../../engine/core/log.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import { MS_PER_HOUR, partitionId, type Offset } from '../../engine/core/types.ts';
import { partitionFile } from '../../engine/runtime/actor-loop.ts';
import { openStore } from '../../engine/state/index.ts';
import { BENCH_PARTITIONS, benchControls, openBenchPartition, type BenchPartition } from './bench-partition.ts';
import { MessageCursor } from './message-cursor.ts';
import { buildMessages } from './messages.ts';
import { Pauses, Stalls, type StallFigures } from './stalls.ts';

/** Records of one partition in one batch, and of the batch. */
const SLICE_RECORDS = 64;
const BATCH_RECORDS = SLICE_RECORDS * BENCH_PARTITIONS;
/** Batches between two reports, each of one partition in turn: each reports every 131,072 events, 1.3 s at 100 K a second. */
const REPORT_BATCHES = 2;
const START_MS = Date.UTC(2026, 4, 3);
/** As the actor loop: a checkpoint that would write more is taken early. */
const CHECKPOINT_BYTES_MAX = 8 * 2 ** 20;
/** A batch in which the kernel took the processor away says nothing about the code. */
const involuntarySwitches = (): number => process.resourceUsage().involuntaryContextSwitches;

export interface FillOptions {
  readonly directory: string;
  readonly entries: number;
  readonly users: number;
  /** Hour cells that are open at any time, over all partitions; as many day cells lie beside them. */
  readonly openCells: number;
  /** Of running time that the entries are spread over: within the horizon of a day. */
  readonly hours: number;
  readonly dedupeMemoryBytesMax: number;
  /** Events of all partitions between two checkpoints of one: ten seconds of the daemon at 100 K a second. */
  readonly checkpointEvery: number;
  readonly sampleEvery: number;
}

export interface FillSample {
  readonly events: number;
  readonly dedupeEntries: number;
  /** What the dedupe tables, filters and lists say they take. */
  readonly dedupeMib: number;
  readonly cells: number;
  readonly heapMib: number;
  /** What V8 keeps for the heap, used or not. */
  readonly heapKeptMib: number;
  readonly externalMib: number;
}

export interface FillResult extends FillSample {
  readonly seconds: number;
  /** Of folding one slice of 64 records. */
  readonly fold: StallFigures;
  /** Of the garbage collector, and the longest slice without it. */
  readonly pauses: ReturnType<Pauses['figures']>;
  /** Of encoding one checkpoint, and of what it does once committed. */
  readonly checkpoint: StallFigures;
  readonly storeMib: number;
}

interface Filled {
  readonly actor: BenchPartition;
  readonly store: OrderedStore;
}

export async function fillPartitions(options: FillOptions, onSample: (sample: FillSample) => void): Promise<FillResult> {
  const dedupePages = new PagePool();
  const values = new ValueTable();
  const partitions = Array.from({ length: BENCH_PARTITIONS }, (_, id): Filled => {
    const store = openStore({ path: join(options.directory, partitionFile(id)), tables: PARTITION_TABLES });
    return { actor: openBenchPartition(id, { store, dedupeMemoryBytesMax: Math.floor(options.dedupeMemoryBytesMax / BENCH_PARTITIONS), dedupePages, values }), store };
  });
  const fill = new Fill(options, partitions);
  const startMs = performance.now();
  for (let next = options.sampleEvery; fill.events < options.entries; ) {
    await fill.batch();
    if (fill.events < next) continue;
    next += options.sampleEvery;
    onSample(fill.sample());
  }
  await fill.checkpointAll();
  const accepted = partitions.reduce((sum, { actor }) => sum + actor.stats().accepted, 0);
  if (accepted !== fill.events) throw new Error(`bug: ${accepted} of ${fill.events} records were accepted`);
  const seconds = (performance.now() - startMs) / 1_000;
  const storeMib = partitions.reduce((sum, { store }) => sum + store.sizeBytes(), 0) / 2 ** 20;
  const result = { ...fill.sample(), seconds, fold: fill.folds.figures(), pauses: fill.pauses.figures(), checkpoint: fill.checkpoints.figures(), storeMib };
  for (const { store } of partitions) await store.close();
  return result;
}

class Fill {
  readonly #options: FillOptions;
  readonly #partitions: readonly Filled[];
  readonly #messages: NumberedMessages;
  readonly #cellsEach: number;
  readonly #checkpointEvents: number;
  readonly folds = new Stalls();
  readonly checkpoints = new Stalls();
  readonly pauses = new Pauses();
  #sequence = 0;
  #turn = 0;
  #reportTurn = 0;
  #checkpointAt: number;
  events = 0;

  constructor(options: FillOptions, partitions: readonly Filled[]) {
    this.#options = options;
    this.#partitions = partitions;
    this.#messages = new NumberedMessages(BATCH_RECORDS);
    this.#cellsEach = Math.ceil(options.openCells / BENCH_PARTITIONS);
    this.#checkpointEvents = options.checkpointEvery / BENCH_PARTITIONS;
    this.#checkpointAt = this.#checkpointEvents;
    this.#tick();
  }

  get #timeMs(): number {
    const { entries, hours } = this.#options;
    return Math.floor((this.events / entries) * hours * MS_PER_HOUR * 0.9999);
  }

  async batch(): Promise<void> {
    const timeMs = this.#timeMs;
    for (let at = 0; at < BATCH_RECORDS; at++) {
      const user = (this.events + (at % SLICE_RECORDS) * BENCH_PARTITIONS + Math.floor(at / SLICE_RECORDS)) % this.#options.users;
      this.#messages.number(at, user, START_MS + timeMs, Math.imul(this.events + at, 0x9e3779b1) >>> 8, this.#cellsEach);
    }
    const batch = this.#nextBatch(BATCH_RECORDS);
    for (const { actor } of this.#partitions) {
      const switches = involuntarySwitches();
      const startMs = performance.now();
      actor.fold(batch, batch.slices[actor.id] as LogSlice, this.#messages.cursor);
      const tookMs = performance.now() - startMs;
      if (involuntarySwitches() !== switches) continue;
      this.folds.add(tookMs);
      this.pauses.add(startMs, tookMs);
    }
    this.events += BATCH_RECORDS;
    if (this.#sequence % REPORT_BATCHES === 0) this.#report(this.#partitions[this.#reportTurn++ % BENCH_PARTITIONS] as Filled);
    const pressed = this.#partitions.find(({ actor }) => actor.checkpointPressure > CHECKPOINT_BYTES_MAX);
    if (pressed !== undefined) await this.#checkpoint(pressed);
    for (; this.events >= this.#checkpointAt; this.#checkpointAt += this.#checkpointEvents) {
      await this.#checkpoint(this.#partitions[this.#turn++ % BENCH_PARTITIONS] as Filled);
    }
  }

  async checkpointAll(): Promise<void> {
    for (const one of this.#partitions) await this.#checkpoint(one);
  }

  sample(): FillSample {
    const stats = this.#partitions.map(({ actor }) => actor.stats());
    const { heapUsed, heapTotal, external } = process.memoryUsage();
    return {
      events: this.events,
      dedupeEntries: stats.reduce((sum, { dedupeEntries }) => sum + dedupeEntries, 0),
      dedupeMib: stats.reduce((sum, { dedupeMemoryBytes }) => sum + dedupeMemoryBytes, 0) / 2 ** 20,
      cells: stats.reduce((sum, { cellsInMemory }) => sum + cellsInMemory, 0),
      heapMib: heapUsed / 2 ** 20,
      heapKeptMib: heapTotal / 2 ** 20,
      externalMib: external / 2 ** 20,
    };
  }

  /** What it reports counts as settled at once, and its lake slots as spooled. */
  #report({ actor }: Filled): void {
    const { sequence, closedUpToMs } = actor.report('changed');
    actor.settled({ sequence, finalUpToMs: closedUpToMs });
    for (const { slot } of actor.takeShares()) actor.spooled(slot);
  }

  async #checkpoint({ actor, store }: Filled): Promise<void> {
    const switches = involuntarySwitches();
    const startMs = performance.now();
    const checkpoint = actor.checkpoint();
    const encodedMs = performance.now();
    if (checkpoint === null) return;
    await store.commit(checkpoint.operations);
    const committedMs = performance.now();
    actor.checkpointCommitted(checkpoint.epoch);
    const tookMs = encodedMs - startMs + performance.now() - committedMs;
    if (involuntarySwitches() === switches) this.checkpoints.add(tookMs);
    await store.flushed();
  }

  #tick(): void {
    const batch = this.#nextBatch(0);
    for (const { actor } of this.#partitions) actor.fold(batch, null, this.#messages.cursor);
  }

  #nextBatch(records: number): LogBatch {
    const sequence = this.#sequence++;
    const offset = 4_096 + sequence * 4_096;
    return {
      offset: offset as Offset,
      journal: 0,
      endOffset: (offset + 4_096) as Offset,
      sequence,
      receivedAtMs: START_MS + this.#timeMs + 1_000,
      runningTimeMs: this.#timeMs,
      recordCount: records,
      bytes: this.#messages.bytes,
      slices: records === 0 ? [] : this.#partitions.map(({ actor }, index) => ({ partition: partitionId(actor.id), recordCount: SLICE_RECORDS, start: index * SLICE_RECORDS, end: (index + 1) * SLICE_RECORDS, firstIndex: index * SLICE_RECORDS })),
      controls: sequence === 0 ? benchControls : [],
    };
  }
}

/** One batch of messages whose user, time and campaign are digits that are written over. */
class NumberedMessages {
  readonly bytes: Buffer;
  readonly cursor: MessageCursor;
  readonly #starts: readonly number[];
  readonly #userAt: number;
  readonly #timeAt: number;
  readonly #campaignAt: number;

  constructor(count: number) {
    // Equal messages, so that their digits stand at equal places.
    const one = buildMessages({ count: 1 });
    const message = one.bytes.subarray((one.starts[0] as number) - 32, one.ends[0]);
    this.bytes = Buffer.concat(Array.from({ length: count }, () => message));
    this.#starts = Array.from({ length: count }, (_, index) => index * message.byteLength + 32);
    this.cursor = new MessageCursor(this.#starts, Array.from({ length: count }, (_, index) => (index + 1) * message.byteLength));
    this.#userAt = message.indexOf('"appsflyer_id":"') + '"appsflyer_id":"'.length - 32;
    this.#timeAt = message.indexOf('"event_time":"2026-05-03 ') + '"event_time":"'.length - 32;
    this.#campaignAt = message.indexOf('"af_c_id":"') + '"af_c_id":"'.length - 32;
  }

  number(message: number, user: number, timeMs: number, pick: number, campaigns: number): void {
    const start = this.#starts[message] as number;
    const time = new Date(timeMs);
    this.#digits(start + this.#userAt, 8, user);
    this.#digits(start + this.#timeAt + 8, 2, time.getUTCDate());
    this.#digits(start + this.#timeAt + 11, 2, time.getUTCHours());
    this.#digits(start + this.#timeAt + 14, 2, time.getUTCMinutes());
    this.#digits(start + this.#timeAt + 17, 2, time.getUTCSeconds());
    this.#digits(start + this.#timeAt + 20, 3, time.getUTCMilliseconds());
    this.#digits(start + this.#campaignAt, 8, pick % campaigns);
  }

  #digits(at: number, count: number, value: number): void {
    for (let digit = count - 1, rest = value; digit >= 0; digit--) {
      this.bytes[at + digit] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}
