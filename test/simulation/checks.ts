/** One checker per invariant; each raises with what differs. plants.ts proves that they can. */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { CellKind, DIMENSION_SEPARATOR, cellMapKey, type MergedCell } from '../../engine/core/cell.ts';
import type { MergeOutput } from '../../engine/core/feed.ts';
import { MS_PER_DAY, partitionId, type Offset } from '../../engine/core/types.ts';
import { createRecordCursor, openMergedLog } from '../../engine/log/index.ts';
import type { MemoryStore } from '../../engine/state/index.ts';
import { SEGMENT_HEADER_BYTES } from '../../engine/log/segment-format.ts';
import type { LiveStore } from '../../sinks/live/index.ts';
import type { MemorySystem } from '../conformance/memory-sink.ts';
import type { Model } from '../model/model.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import { lanesOf } from '../../engine/runtime/lanes.ts';
import { openPartition, type SimulatedActor } from './threads.ts';

const MEASURES = appsflyerPipeline.measures.map(({ name }) => name);
const CAMPAIGN = appsflyerPipeline.dimensions.findIndex(({ name }) => name === 'campaign_id');
const COUNTRY = appsflyerPipeline.dimensions.findIndex(({ name }) => name === 'country');

/** What readers have seen: revisions never fall, and a final hour never changes. */
export class Visible {
  readonly #cells = new Map<string, MergedCell>();
  #watermarkMs = -1;

  written(output: MergeOutput): void {
    for (const cell of output.changed) this.#see(cell);
    this.#seeWatermark(output.watermarkMs);
  }

  /** After a recovery, at the moment when queries answer again. */
  ready(live: LiveStore): void {
    for (const [key, before] of this.#cells) {
      const now = live.cell(before);
      if (now === null) throw new Error(`visible: ${printable(key)} is gone after a recovery`);
      this.#see(now);
    }
    this.#seeWatermark(live.watermarkMs);
  }

  #see(cell: MergedCell): void {
    const key = cellMapKey(cell);
    const before = this.#cells.get(key);
    if (before !== undefined && before.revision > cell.revision) throw new Error(`visible: the revision of ${printable(key)} fell from ${before.revision} to ${cell.revision}`);
    if (before?.final === true && contentOf(before) !== contentOf(cell)) throw new Error(`visible: the final hour ${printable(key)} changed`);
    this.#cells.set(key, cell);
  }

  #seeWatermark(watermarkMs: number): void {
    if (watermarkMs < this.#watermarkMs) throw new Error(`visible: the watermark fell from ${this.#watermarkMs} to ${watermarkMs}`);
    this.#watermarkMs = watermarkMs;
  }
}

export function checkConservation(live: LiveStore, model: Model): void {
  const { received, accepted, duplicate, late, rejected } = live.conservation();
  const expected = model.summarise();
  if (received !== accepted + duplicate + late + rejected) throw new Error(`conservation: ${received} received, ${accepted} + ${duplicate} + ${late} + ${rejected}`);
  if (accepted + late !== expected.counted) throw new Error(`totals: ${accepted + late} counted, the model has ${expected.counted}`);
}

/** Hours and late cells by campaign and country equal the model; each day equals its hours and their late cells. */
export function checkTotals(live: LiveStore, model: Model): void {
  const cells = allCells(live);
  const sums = new Map<string, Map<string, bigint>>();
  const days = new Map<string, bigint[]>();
  for (const cell of cells) {
    const values = cell.dimensions.split(DIMENSION_SEPARATOR);
    const day = `${Math.floor(cell.windowStartMs / MS_PER_DAY)} ${cell.dimensions}`;
    const sign = cell.kind === CellKind.day ? -1n : 1n;
    const balance = days.get(day) ?? MEASURES.map(() => 0n);
    cell.measures.forEach((value, index) => (balance[index] = (balance[index] as bigint) + sign * BigInt(value)));
    days.set(day, balance);
    if (cell.kind === CellKind.day) continue;
    const key = `${new Date(cell.windowStartMs).toISOString()}|${values[CAMPAIGN]}|${values[COUNTRY]}`;
    const row = sums.get(key) ?? new Map<string, bigint>();
    sums.set(key, row);
    cell.measures.forEach((value, index) => row.set(MEASURES[index] as string, (row.get(MEASURES[index] as string) ?? 0n) + BigInt(value)));
  }
  for (const [day, balance] of days) if (balance.some((value) => value !== 0n)) throw new Error(`day: ${printable(day)} is not the sum of its hours and late cells (${balance.join(' ')})`);
  const rows = model.rows('hour', ['campaign_id', 'country']);
  for (const { windowStart, dimensions, measures } of rows) {
    const key = `${windowStart}|${dimensions.campaign_id}|${dimensions.country}`;
    const row = sums.get(key);
    if (row === undefined) throw new Error(`totals: no row ${key}`);
    for (const name of MEASURES) if ((row.get(name) ?? 0n) !== (measures[name] ?? 0n)) throw new Error(`totals: ${key} has ${name} ${row.get(name) ?? 0n}, the model ${measures[name] ?? 0n}`);
  }
  if (sums.size !== rows.length) throw new Error(`totals: ${sums.size} rows, the model has ${rows.length}`);
}

export function checkSink(live: LiveStore, system: MemorySystem): void {
  for (const cell of allCells(live)) {
    const held = system.cells.get(cellMapKey(cell))?.cell;
    if (held === undefined) throw new Error(`sink: ${printable(cellMapKey(cell))} is not there`);
    if (held.revision !== cell.revision || contentOf(held) !== contentOf(cell)) throw new Error(`sink: ${printable(cellMapKey(cell))} stands at revision ${held.revision}, the live store at ${cell.revision}`);
  }
}

export interface ReplayCheck {
  readonly disk: FaultyDisk;
  /** By number. */
  readonly journals: readonly string[];
  readonly instance: string;
  readonly durable: readonly Offset[];
  readonly oldest: readonly number[];
  /** Of some moment of the story, or new ones. */
  readonly stores: readonly MemoryStore[];
  /** Of the daemon, by partition. */
  readonly hashes: readonly string[];
  readonly threads: number;
}

/** A fold of the journal from where the stores stand, undisturbed and on so many threads, gives the same state. False where the journal no longer reaches back. */
export function checkReplay({ disk, journals, instance, durable, oldest, stores, hashes, threads }: ReplayCheck): boolean {
  const actors = stores.map((store, id) => openPartition({ id, store, partitionCount: stores.length, instance }));
  // A partition that has folded nothing of a journal begins at 0, before the header of the first segment.
  const isGone = (from: number, first: number): boolean => first > Math.max(from, SEGMENT_HEADER_BYTES);
  if (actors.some(({ offsets }) => oldest.some((first, journal) => isGone(offsets[journal] ?? 0, first)))) return false;
  for (const lane of lanesOf(stores.length, threads)) {
    const own = actors.slice(lane.first, lane.first + lane.count);
    const least = own.reduce((behind, actor) => (actor.batchSequence < behind.batchSequence ? actor : behind));
    const words = { durableOf: (journal: number) => durable[journal] as Offset, busySince: () => 0 };
    const log = openMergedLog({ directories: journals, lane, from: least.offsets, nextSequence: least.batchSequence + 1, words, disk: disk.session() });
    const cursor = createRecordCursor();
    for (let batch = log.read(); batch !== null; batch = log.read()) {
      for (const actor of own) {
        if (batch.sequence > actor.batchSequence) actor.fold(batch, batch.slices.find(({ partition }) => partition === partitionId(actor.id)) ?? null, cursor);
      }
    }
    log.close();
  }
  actors.forEach((actor, id) => {
    if (actor.stateHash() !== hashes[id]) throw new Error(`replay: partition ${id} has another state after an undisturbed replay on ${threads} threads`);
  });
  return true;
}

/** At every checkpoint; `received` comes from batch indexes, the verdicts from the fold. */
export function checkCheckpoint(actor: Pick<SimulatedActor, 'id' | 'stats'>): void {
  const { received, accepted, duplicate, late, rejected } = actor.stats();
  if (received !== accepted + duplicate + late + rejected) throw new Error(`conservation: partition ${actor.id} received ${received}, and has ${accepted} + ${duplicate} + ${late} + ${rejected}`);
}

function allCells(live: LiveStore): MergedCell[] {
  const cells: MergedCell[] = [];
  for (const kind of Object.values(CellKind)) {
    for (let start = live.nextWindow(kind, 0); start !== null; start = live.nextWindow(kind, start + 1)) {
      for (const page of live.windowPages(kind, start, null)) cells.push(...page);
    }
  }
  return cells;
}

const contentOf = ({ measures, records, breakdown, labels }: MergedCell): string => JSON.stringify([measures, records, breakdown, labels]);
const printable = (key: string): string => key.replaceAll(DIMENSION_SEPARATOR, '/');
