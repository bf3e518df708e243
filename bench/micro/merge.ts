/**
 * What egress costs per changed cell: accept, drain, write to a real file.
 *
 * Question: does egress stay under a quarter of a core at 2,000 changed cells per 50 ms, i.e. under 6.25 µs of CPU per cell, all
 * threads counted (LMDB writes from a thread of its own)? Limit: encoding, and copying one value per 512 cells.
 *
 *   node dist/bench/micro/merge.js [--rounds 150] [--cells 1000,5000,100000]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Merge } from '../../actors/merge/index.ts';
import { CellKind } from '../../engine/core/cell.ts';
import type { PartialCell, PartitionReport } from '../../engine/core/cell.ts';
import { pack, unpack } from '../../engine/core/codec.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { openStore } from '../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { isProgram } from '../harness/program.ts';

const PARTITIONS = 32;
const CHANGED_MAX = 2_000;
const BUDGET_US = 6.25;
const START_MS = Date.UTC(2026, 10, 22);

const schema: ResultSchema = {
  dimensions: ['campaign_id', 'app_id', 'platform', 'media_source', 'country', 'device', 'attribution'],
  measures: Array.from({ length: 16 }, (_, index) => ({ name: `m${index}`, unit: index % 5 === 4 ? 'micros' : 'count' })),
  breakdown: 'by_event',
  labels: ['campaign', 'campaign_id_kind'],
};

export interface MergeFigures {
  readonly cells: number;
  readonly changedPerRound: number;
  readonly decodeUs: number;
  readonly acceptUs: number;
  readonly drainUs: number;
  /** Until it is committed, LMDB's thread included. */
  readonly applyWallUs: number;
  /** CPU of all threads of the process, everything above included: the mean, and the tenth percentile of the rounds, which is what an otherwise idle machine gives. */
  readonly cpuUs: number;
  readonly cpuUsP10: number;
  readonly coreShareAt40K: number;
  readonly fileMb: number;
}

/** One bench run: `cells` hour and day cells exist, `changed` of them change each round, spread over the partitions. */
export async function measureMerge(cells: number, rounds: number): Promise<MergeFigures> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-merge-'));
  const store = openStore({ path: join(directory, 'live.mdb'), tables: LIVE_TABLES });
  try {
    const live = LiveStore.open({ store, schema, instance: '0'.repeat(32), generation: 1, partitionCount: PARTITIONS, retentionDays: 40 });
    const merge = new Merge({ schema, partitionCount: PARTITIONS, exists: (name) => live.cell(name) });
    for (let partition = 0; partition < PARTITIONS; partition++) merge.complete(partition);
    const changed = Math.min(CHANGED_MAX, cells);
    let sequence = 0;
    const rows: Spent[] = [];
    let nowMs = START_MS;
    /** Made ahead of the round and kept outside of the heap, so that making them costs the measured part nothing. */
    const packedReports = (first: number, count: number): Uint8Array[] => reportsOf(first, count, cells, ++sequence).map((report) => pack(report));
    const round = async (packed: readonly Uint8Array[], counted: boolean): Promise<void> => {
      const cpu = process.cpuUsage();
      let decodeMs = 0;
      let acceptMs = 0;
      for (const bytes of packed) {
        const t0 = performance.now();
        const report = unpack<PartitionReport>(bytes);
        const t1 = performance.now();
        merge.accept(report);
        decodeMs += t1 - t0;
        acceptMs += performance.now() - t1;
      }
      const t2 = performance.now();
      const output = merge.drain(nowMs);
      const t3 = performance.now();
      if (output === null) throw new Error('nothing to write');
      const applying = live.apply(output, (nowMs += 50));
      await applying;
      const t4 = performance.now();
      merge.settled(output);
      await store.flushed();
      if (!counted) return;
      const used = process.cpuUsage(cpu);
      const per = 1 / output.changed.length;
      rows.push({ decode: decodeMs * 1_000 * per, accept: acceptMs * 1_000 * per, drain: (t3 - t2) * 1_000 * per, apply: (t4 - t3) * 1_000 * per, cpu: (used.user + used.system) * per });
    };
    for (let first = 0; first < cells; first += CHANGED_MAX) await round(packedReports(first, Math.min(CHANGED_MAX, cells - first)), false);
    // Long enough that cells leave the log within the run: 5 s of stream time are 100 rounds of 50 ms.
    const ahead = Array.from({ length: Math.ceil(rounds * 1.5) }, (_, turn) => packedReports((turn * 7919) % cells, changed));
    for (const [turn, packed] of ahead.entries()) await round(packed, turn >= rounds / 2);
    const cpuUs = mean(rows.map((row) => row.cpu));
    return {
      cells,
      changedPerRound: changed,
      decodeUs: median(rows.map((row) => row.decode)),
      acceptUs: median(rows.map((row) => row.accept)),
      drainUs: median(rows.map((row) => row.drain)),
      applyWallUs: median(rows.map((row) => row.apply)),
      cpuUs,
      cpuUsP10: quantile(rows.map((row) => row.cpu), 0.1),
      coreShareAt40K: round2(cpuUs * 0.04),
      fileMb: round2(store.sizeBytes() / 1e6),
    };
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Microseconds per changed cell, of one round. */
interface Spent {
  readonly decode: number;
  readonly accept: number;
  readonly drain: number;
  readonly apply: number;
  readonly cpu: number;
}

const mean = (values: readonly number[]): number => round2(values.reduce((sum, value) => sum + value, 0) / values.length);
const quantile = (values: readonly number[], share: number): number => round2([...values].sort((left, right) => left - right)[Math.floor(share * (values.length - 1))] ?? Number.NaN);
const median = (values: readonly number[]): number => quantile(values, 0.5);
const round2 = (value: number): number => Math.round(value * 100) / 100;

function reportsOf(first: number, count: number, cells: number, sequence: number): PartitionReport[] {
  const reports = Array.from({ length: PARTITIONS }, (): PartialCell[] => []);
  for (let index = 0; index < count; index++) {
    const cell = (first + index) % cells;
    (reports[(cell * 7 + sequence) % PARTITIONS] as PartialCell[]).push(partialOf(cell, sequence));
  }
  return reports.map((partials, partition) => ({
    partition,
    sequence,
    watermarkMs: START_MS,
    closedUpToMs: 0,
    offset: sequence,
    received: sequence,
    accepted: sequence,
    duplicate: 0,
    late: 0,
    rejected: 0,
    cells: partials,
  }));
}

const COUNTRIES = ['DE', 'FR', 'US', 'JP', 'BR', 'IN'];

function partialOf(cell: number, sequence: number): PartialCell {
  const campaign = Math.floor(cell / 12);
  const dimensions = [`12021${campaign}`, 'com.example.game', cell % 2 ? 'android' : 'ios', 'googleadwords_int', COUNTRIES[cell % 6] as string, 'phone', 'ua'].join('\u001f');
  return {
    kind: cell % 12 < 6 ? CellKind.hour : CellKind.day,
    windowStartMs: START_MS,
    dimensions,
    revision: sequence,
    records: sequence,
    measures: schema.measures.map((measure, index) => (measure.unit === 'micros' ? sequence * 13_610_000 * (index % 3) : (sequence + index) % 4 ? 0 : sequence)),
    breakdown: cell % 3 === 0 ? { af_purchase: sequence, af_subscribe: 1 } : null,
    labels: [
      { timeMs: START_MS + sequence, text: `Campaign ${campaign} summer sale` },
      { timeMs: START_MS + sequence, text: 'id' },
    ],
  };
}

if (isProgram(import.meta.url)) {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '150' }, cells: { type: 'string', default: '1000,5000,100000' } } });
  for (const cells of values.cells.split(',').map(Number)) {
    const figures = await measureMerge(cells, Number(values.rounds));
    process.stdout.write(`${JSON.stringify(figures)} ${figures.cpuUs <= BUDGET_US ? 'within' : 'ABOVE'} ${BUDGET_US} µs\n`);
  }
}
