/**
 * The live store: the durable home of all merged cells, the first sink and what the others are fed from.
 *
 * One transaction per merge output holds its cells, their change numbers, and per partition the sequence number that is settled by them;
 * readers see it once it is committed, and a failed one leaves everything as it was. Reads of recent windows touch no disk.
 * Change numbers rise by one with every changed cell; each cell has one entry in the change index (tables and log together),
 * so that feeding a sink that was away costs no more than the cells there are. Cells past retention are invisible at once and
 * removed step by step. Nothing here scans without a bound but opening (the change log, newest windows) and `stateHash`. Main thread.
 */

import type { CellName, MergedCell } from '../../engine/core/cell.ts';
import { CellKind, parseCellStoreKey } from '../../engine/core/cell.ts';
import { pack } from '../../engine/core/codec.ts';
import type { ChangedCells, MergeOutput, PartitionProgress, ResultFeed } from '../../engine/core/feed.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import type { Conservation } from '../../engine/core/record.ts';
import { emptyConservation } from '../../engine/core/record.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { assert, MS_PER_DAY, MS_PER_HOUR } from '../../engine/core/types.ts';
import { BLOCK_CELLS_MAX, ChangeLog, currentCells } from './change-log.ts';
import type { LogBlock } from './change-log.ts';
import { changeKey, decodeBlock, encodeBlock, LIVE_TABLE, parseChangeKey } from './encode.ts';
import type { NumberedCell } from './encode.ts';
import { checkIdentity } from './identity.ts';
import { isToldAgain, lateFinals } from './late-finals.ts';
import { LIVE_LIMITS } from './options.ts';
import type { LiveLimits } from './options.ts';
import { shownPages } from './order.ts';
import { decodeMark, decodeState, newState, nextState } from './state.ts';
import type { LiveState } from './state.ts';
import { stateHash } from './state-hash.ts';
import { LiveTables } from './tables.ts';
import { WindowReader } from './window-reader.ts';
import { LiveWindows } from './windows.ts';
import type { LiveCell, LiveWindow } from './windows.ts';

export interface LiveStoreOptions {
  /** Opened with LIVE_TABLES; the owner closes it. */
  readonly store: OrderedStore;
  readonly schema: ResultSchema;
  readonly instance: string;
  readonly generation: number;
  readonly partitionCount: number;
  /** How long past their end, by the watermark, cells are kept. */
  readonly retentionDays: number;
  readonly limits?: Partial<LiveLimits>;
}

/** A transaction before it is committed, and what to do in memory afterwards. */
interface Plan {
  readonly state: LiveState;
  readonly changed: readonly MergedCell[];
  /** `changed`, as numbered in the log. The cells in memory are still as they were. */
  readonly blocks: readonly LogBlock[];
  /** Windows that neither memory nor the tables have. */
  readonly newWindows: NewWindows;
  readonly leaving: readonly LogBlock[];
  /** Cells of `leaving` that are written to the tables. */
  readonly moved: readonly MovedCell[];
  readonly marks: ReadonlyMap<string, number>;
  readonly swept: readonly CellKind[];
  readonly operations: readonly StoreOperation[];
}

/** A cell as the tables get it. It may have changed again by the time they have it. */
interface MovedCell {
  readonly live: LiveCell;
  readonly changeNumber: number;
}

/** Answers by kind and window start; kept, because a window's cells come together. */
type NewWindows = Map<string, boolean>;

/** Change number of a cell that is about to be added: below any other. */
const NOT_IN_MEMORY = -1;
const STATE_KEY = new TextEncoder().encode('state');
const KINDS: readonly CellKind[] = Object.values(CellKind);
/** Log blocks leave at least this many cells per transaction when they must. */
const SURVIVORS_MIN = 1_000;

export class LiveStore implements ResultFeed {
  readonly schema: ResultSchema;
  readonly generation: number;
  readonly instance: string;
  /** Final cells may change: corrections of a promotion are written, or read again from the log. */
  restating = true;
  readonly #store: OrderedStore;
  readonly #tables: LiveTables;
  readonly #limits: LiveLimits;
  readonly #retentionMs: number;
  readonly #windows = new LiveWindows();
  readonly #reader: WindowReader;
  readonly #log = new ChangeLog();
  readonly #marks = new Map<string, number>();
  readonly #newMarks = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  /** By kind: all cells of windows that start at or before this are removed. */
  readonly #sweptUpTo = new Map<CellKind, number>();
  #identity: StoreOperation | null;
  #state: LiveState;
  #partitions: readonly PartitionProgress[];
  #applying = false;
  /** What an earlier life committed may still be taken back by a power cut, until the file is flushed anew. */
  #durable = 0;

  /** Reads what an earlier life left. Raises DATA_DIR_FOREIGN, DATA_VERSION and STATE_CORRUPT. */
  static open(options: LiveStoreOptions): LiveStore {
    return new LiveStore(options);
  }

  private constructor(options: LiveStoreOptions) {
    const { store, schema, instance, generation, partitionCount } = options;
    this.schema = schema;
    this.generation = generation;
    this.instance = instance;
    this.#store = store;
    this.#tables = new LiveTables(store, schema.measures.length);
    this.#reader = new WindowReader(this.#windows, this.#tables);
    this.#limits = { ...LIVE_LIMITS, ...options.limits };
    this.#retentionMs = options.retentionDays * MS_PER_DAY;
    this.#identity = checkIdentity(store, { instance, generation, partitionCount, schema });
    const stored = store.get(LIVE_TABLE.meta, STATE_KEY);
    this.#state = stored === null ? newState(partitionCount) : decodeState(stored, partitionCount);
    this.#partitions = this.#state.sequences.map((sequence, partition) => ({ ...emptyConservation(), partition, sequence, watermarkMs: -1, closedUpToMs: 0, offset: 0 }));
    for (const { key, value } of store.range(LIVE_TABLE.marks, {})) this.#marks.set(new TextDecoder().decode(key), decodeMark(value));
    for (const kind of KINDS) this.#warm(kind);
    this.#readLog();
    this.restating = false;
    this.#expire();
    this.#windows.trim(this.#limits.memoryCellsMax, this.#log.startAfter(this.latest));
  }

  get latest(): number {
    return this.#state.latest;
  }

  get durable(): number {
    return this.#durable;
  }

  get finalUpToMs(): number {
    return this.#state.finalUpToMs;
  }

  get watermarkMs(): number {
    return this.#state.watermarkMs;
  }

  /** When the state was last written; -1 before the first time. Epoch ms. */
  get asOfMs(): number {
    return this.#state.asOfMs;
  }

  /** By partition: what is in the store, committed. A restored partition reports what comes after. */
  settledSequences(): ReadonlyMap<number, number> {
    return new Map(this.#state.sequences.map((sequence, partition) => [partition, sequence]));
  }

  conservation(): Readonly<Conservation> {
    return this.#state.counters;
  }

  partitionStates(): readonly PartitionProgress[] {
    return this.#partitions;
  }

  /** How many cells are in memory and in the change log. */
  levels(): { memoryCells: number; logCells: number } {
    return { memoryCells: this.#windows.size, logCells: this.#log.cellCount };
  }

  /** One merged cell, or null when there is none or it is past retention. */
  cell(name: CellName): MergedCell | null {
    if (name.windowStartMs <= this.#expiredUpTo(name.kind)) return null;
    return this.#find(name)?.cell ?? null;
  }

  /**
   * Writes one output of the merge; resolves when it is committed and readable. Rejects STATE_WRITE_FAILED or DISK_FULL and has then
   * changed nothing: the caller tries again with the same output. One call at a time.
   */
  async apply(output: MergeOutput, nowMs: number): Promise<void> {
    assert(!this.#applying, 'apply() was called while the former output was being written');
    this.#applying = true;
    try {
      const plan = this.#plan(output, nowMs);
      await this.#store.commit(plan.operations);
      this.#install(plan);
      this.#partitions = output.partitions;
      if (plan.changed.length > 0) this.#tell();
      this.#noteDurable(this.latest);
    } finally {
      this.#applying = false;
    }
  }

  /** Once the file is flushed. Where that fails, a later transaction's flush covers this one too. */
  #noteDurable(latest: number): void {
    this.#store.flushed().then(
      () => {
        if (latest <= this.#durable) return;
        this.#durable = latest;
        this.#tell();
      },
      () => undefined,
    );
  }

  #tell(): void {
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  changedSince(mark: number, limit: number): ChangedCells {
    const cells: MergedCell[] = [];
    let reached = mark;
    for (const { cell, changeNumber } of this.#changesAfter(mark)) {
      if (cells.length === limit) return { cells, mark: reached };
      reached = changeNumber;
      if (cell.windowStartMs > this.#expiredUpTo(cell.kind)) cells.push(cell);
    }
    return { cells, mark: this.latest };
  }

  window(kind: CellKind, windowStartMs: number, resultKey: string | null, limit: number): readonly MergedCell[] {
    return windowStartMs <= this.#expiredUpTo(kind) ? [] : this.#reader.cells({ kind, windowStartMs, resultKey }, limit);
  }

  settledMark(sink: string): number {
    return this.#newMarks.get(sink) ?? this.#marks.get(sink) ?? 0;
  }

  settle(sink: string, mark: number): void {
    assert(mark <= this.latest, `${sink} settles change ${mark}, the latest is ${this.latest}`);
    if (this.settledMark(sink) !== mark) this.#newMarks.set(sink, mark);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Start of the first window of a kind that starts at or after `fromMs`; null for none. */
  nextWindow(kind: CellKind, fromMs: number): number | null {
    const from = Math.max(fromMs, this.#expiredUpTo(kind) + 1, 0);
    const inMemory = this.#windows.nextStart(kind, from);
    const inTables = this.#tables.nextWindow(kind, from);
    return inMemory === null || inTables === null ? (inMemory ?? inTables) : Math.min(inMemory, inTables);
  }

  /** Start of the newest window of a kind; null for none. */
  newestWindow(kind: CellKind): number | null {
    const inMemory = this.#windows.newestStart(kind);
    const inTables = this.#tables.newestWindow(kind, null);
    return inMemory === null || inTables === null ? (inMemory ?? inTables) : Math.max(inMemory, inTables);
  }

  /** All cells of one window that are shown, or those whose first dimension is `resultKey`, each once, in no order. The caller may pause between pages. */
  windowPages(kind: CellKind, windowStartMs: number, resultKey: string | null): Generator<readonly MergedCell[]> {
    return shownPages(windowStartMs <= this.#expiredUpTo(kind) ? [] : this.#reader.pages({ kind, windowStartMs, resultKey }));
  }

  /** Names the state of all cells within retention: equal for equal cells, however they came about. Call it at rest. */
  stateHash(): Promise<string> {
    return stateHash(this);
  }

  #find(name: CellName): NumberedCell | null {
    const window = this.#windows.get(name.kind, name.windowStartMs);
    const live = window?.cells.get(name.dimensions);
    if (live !== undefined) return live;
    return window?.complete === true ? null : this.#tables.find(name);
  }

  /** Current cells with their change numbers, in order: first those that the tables have, then the log's. */
  *#changesAfter(mark: number): Generator<NumberedCell> {
    for (const { changeNumber, key } of this.#tables.changes(mark + 1, this.#log.startAfter(this.latest))) {
      const live = this.#windows.find(parseCellStoreKey(key));
      // The tables may lag behind the log: a cell that has changed since comes at its later number.
      if (live !== undefined && live.changeNumber !== changeNumber) continue;
      const found = live ?? this.#tables.read(key);
      if (found !== null) yield found;
    }
    yield* this.#log.since(mark);
  }

  #plan(output: MergeOutput, nowMs: number): Plan {
    const changed = output.changed.filter((cell) => cell.windowStartMs > this.#expiredUpTo(cell.kind));
    const { finalUpToMs, lateFinalUpToMs = finalUpToMs } = this.#state;
    const late = lateFinals(this, { fromMs: lateFinalUpToMs, toMs: Math.max(finalUpToMs, output.finalUpToMs) }, changed, this.#limits.lateFinalsMax);
    for (const cell of late.cells) changed.push({ ...cell, updatedAtMs: nowMs });
    const operations: StoreOperation[] = [];
    if (this.#identity !== null) operations.push(this.#identity);
    const newWindows: NewWindows = new Map();
    const blocks: LogBlock[] = [];
    let number = this.latest + 1;
    for (let start = 0; start < changed.length; start += BLOCK_CELLS_MAX) {
      const cells = changed.slice(start, start + BLOCK_CELLS_MAX);
      blocks.push({ firstNumber: number, writtenAtMs: nowMs, cells: cells.map((cell) => this.#liveCell(cell, newWindows)) });
      operations.push({ table: LIVE_TABLE.blocks, key: changeKey(number), value: encodeBlock(cells) });
      number += cells.length;
    }
    const leaving = this.#log.leaving(nowMs - this.#limits.logAgeMs, this.#limits.logCellsMax, changed.length, Math.max(SURVIVORS_MIN, 2 * changed.length));
    const moved = this.#move(leaving, operations);
    const marks = new Map(this.#newMarks);
    for (const [sink, mark] of marks) operations.push({ table: LIVE_TABLE.marks, key: new TextEncoder().encode(sink), value: pack(mark) });
    const swept = this.#sweep(operations);
    const state = nextState(this.#state, output, { latest: number - 1, lateFinalUpToMs: late.upToMs, asOfMs: nowMs });
    operations.push({ table: LIVE_TABLE.meta, key: STATE_KEY, value: pack(state) });
    return { state, changed, blocks, newWindows, leaving, moved, marks, swept, operations };
  }

  /** The cell's place in memory; one that is not there yet is made, with what the tables have of it, and added when the plan is carried out. */
  #liveCell(cell: MergedCell, newWindows: NewWindows): LiveCell {
    const window = this.#windows.get(cell.kind, cell.windowStartMs);
    const live = window?.cells.get(cell.dimensions);
    if (live !== undefined) {
      const { revision, final } = live.cell;
      assert((cell.revision > revision && (!final || this.restating)) || isToldAgain(cell, live.cell), `revision ${revision} (final: ${final}) cannot be followed by ${cell.revision}`);
      return live;
    }
    const complete = window?.complete ?? this.#isNewWindow(cell, newWindows);
    const stored = complete ? null : this.#tables.find(cell);
    return { cell, changeNumber: NOT_IN_MEMORY, indexedNumber: stored?.changeNumber ?? 0 };
  }

  #isNewWindow({ kind, windowStartMs }: CellName, newWindows: NewWindows): boolean {
    const key = newWindowKey(kind, windowStartMs);
    let isNew = newWindows.get(key);
    if (isNew === undefined) {
      isNew = !this.#tables.hasWindow(kind, windowStartMs);
      newWindows.set(key, isNew);
    }
    return isNew;
  }

  #move(leaving: readonly LogBlock[], operations: StoreOperation[]): MovedCell[] {
    const moved: MovedCell[] = [];
    for (const block of leaving) {
      operations.push({ table: LIVE_TABLE.blocks, key: changeKey(block.firstNumber), value: null });
      for (const live of currentCells(block)) {
        LiveTables.put(live, live.indexedNumber, operations);
        moved.push({ live, changeNumber: live.changeNumber });
      }
    }
    return moved;
  }

  /** Removes a bounded number of cells past retention. Returns the kinds of which none is left. */
  #sweep(operations: StoreOperation[]): CellKind[] {
    const swept: CellKind[] = [];
    let room = this.#limits.removalsMax;
    for (const kind of KINDS) {
      const upTo = this.#expiredUpTo(kind);
      if (upTo < 0 || upTo <= (this.#sweptUpTo.get(kind) ?? -1)) continue;
      room -= this.#tables.remove(kind, upTo, room, operations);
      if (room === 0) break;
      swept.push(kind);
    }
    return swept;
  }

  #install(plan: Plan): void {
    this.#reader.changed();
    for (const kind of plan.swept) this.#sweptUpTo.set(kind, this.#expiredUpTo(kind));
    this.#state = plan.state;
    this.#identity = null;
    let start = 0;
    for (const block of plan.blocks) {
      this.#remember(block, plan.changed, start, plan.newWindows);
      this.#log.append(block);
      start += block.cells.length;
    }
    this.#log.remove(plan.leaving.length);
    for (const { live, changeNumber } of plan.moved) {
      live.indexedNumber = changeNumber;
      if (live.changeNumber === changeNumber) this.#windows.release(live);
    }
    for (const [sink, mark] of plan.marks) {
      this.#marks.set(sink, mark);
      if (this.#newMarks.get(sink) === mark) this.#newMarks.delete(sink);
    }
    this.#expire();
    this.#windows.trim(this.#limits.memoryCellsMax, this.#log.startAfter(this.latest));
  }

  /** Brings the cells of a block to what they are in `changed` from `start` on. */
  #remember(block: LogBlock, changed: readonly MergedCell[], start: number, newWindows: NewWindows): void {
    let window: LiveWindow | null = null;
    for (let at = 0; at < block.cells.length; at++) {
      const live = block.cells[at] as LiveCell;
      const { kind, windowStartMs } = live.cell;
      if (window === null || window.windowStartMs !== windowStartMs || window.kind !== kind) {
        window = this.#windows.touch(kind, windowStartMs, newWindows.get(newWindowKey(kind, windowStartMs)) ?? false);
      }
      if (live.changeNumber === NOT_IN_MEMORY) this.#windows.add(window, live);
      live.cell = changed[start + at] as MergedCell;
      live.changeNumber = block.firstNumber + at;
    }
  }

  /** Reads the newest windows of a kind, the last one last, as far as they fit. */
  #warm(kind: CellKind): void {
    const newest = this.#tables.newestWindow(kind, null);
    const before = newest === null ? null : this.#tables.newestWindow(kind, newest);
    for (const windowStartMs of [before, newest]) {
      if (windowStartMs === null) continue;
      const window = this.#windows.touch(kind, windowStartMs, true);
      for (const page of this.#tables.pages(kind, windowStartMs, null)) {
        if (this.#windows.size + page.length > this.#limits.memoryCellsMax) {
          this.#windows.demote(window, Infinity);
          return;
        }
        for (const { cell, changeNumber } of page) this.#windows.add(window, { cell, changeNumber, indexedNumber: changeNumber });
      }
    }
  }

  #readLog(): void {
    for (const { key, value } of this.#store.range(LIVE_TABLE.blocks, {})) {
      const firstNumber = parseChangeKey(key);
      const newWindows: NewWindows = new Map();
      const changed = decodeBlock(value, this.schema.measures.length);
      const block = { firstNumber, writtenAtMs: this.asOfMs, cells: changed.map((cell) => this.#liveCell(cell, newWindows)) };
      this.#remember(block, changed, 0, newWindows);
      this.#log.append(block);
    }
  }

  #expire(): void {
    for (const kind of KINDS) this.#windows.expire(kind, this.#expiredUpTo(kind));
  }

  /** Windows of the kind that start at or before this are past retention; negative for none. A whole hour, so that it moves seldom. */
  #expiredUpTo(kind: CellKind): number {
    const sizeMs = kind === CellKind.day ? MS_PER_DAY : MS_PER_HOUR;
    return Math.floor((this.#state.watermarkMs - this.#retentionMs - sizeMs) / MS_PER_HOUR) * MS_PER_HOUR;
  }
}

const newWindowKey = (kind: CellKind, windowStartMs: number): string => `${kind} ${windowStartMs}`;
