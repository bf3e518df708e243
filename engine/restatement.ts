/**
 * Puts corrected cells into copies of a resting data directory's files: the live store, and those partitions that hold a share of what is corrected.
 *
 * A cell's correction goes to one partition, by the hash of its dimensions: sums over all partitions are what is shown. Hours that are final live in
 * the live store alone. Nothing of the directory itself is changed; the files that were made are named at the end.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, restate, type Correction } from '../actors/partition/index.ts';
import { LIVE_TABLES, LiveStore } from '../sinks/live/index.ts';
import { plusDelta, type TotalsDelta } from './core/cell-difference.ts';
import { CellKind, isShown, type CellName, type MergedCell } from './core/cell.ts';
import { hash32 } from './core/hash.ts';
import { resultSchema } from './core/pipeline.ts';
import type { OrderedStore } from './core/store.ts';
import { MS_PER_HOUR, partitionId } from './core/types.ts';
import { partitionFile } from './runtime/actor-loop.ts';
import { directoriesOf, type InstanceFacts } from './runtime/data-directory.ts';
import { openStore } from './state/index.ts';

export interface CellCorrection extends CellName {
  readonly delta: TotalsDelta;
}

/** Cells of one transaction of the live store. */
const CELLS_PER_WRITE = 5_000;

export interface RestatementOptions {
  /** Locked, and closed cleanly. */
  readonly path: string;
  readonly facts: InstanceFacts;
  readonly retentionDays: number;
  /** Where the copies are made; not there yet. */
  readonly next: string;
  readonly nowMs: number;
}

export class Restatement {
  readonly #options: RestatementOptions;
  readonly #live: LiveStore;
  readonly #liveFile: OrderedStore;
  readonly #partitions = new Map<number, OrderedStore>();
  readonly #sequences = new Map<number, number>();
  #cells = 0;

  static async open(options: RestatementOptions): Promise<Restatement> {
    const { path, next } = options;
    mkdirSync(next);
    for (const folder of [directoriesOf(next).state, directoriesOf(next).live]) mkdirSync(folder);
    return new Restatement(options, await copyOf(join(directoriesOf(path).live, 'live.mdb'), join(directoriesOf(next).live, 'live.mdb'), LIVE_TABLES));
  }

  private constructor(options: RestatementOptions, liveFile: OrderedStore) {
    this.#options = options;
    this.#liveFile = liveFile;
    const { facts, retentionDays } = options;
    this.#live = LiveStore.open({ store: liveFile, schema: resultSchema(appsflyerPipeline), instance: facts.instance, generation: facts.generation, partitionCount: facts.partitionCount, retentionDays });
    this.#live.restating = true;
  }

  /** Cells corrected so far. */
  get cells(): number {
    return this.#cells;
  }

  /** Whether there is such a cell, and it is shown. */
  holds(name: CellName): boolean {
    const cell = this.#live.cell(name);
    return cell !== null && isShown(cell);
  }

  /** Each cell once in all calls. */
  async correct(corrections: readonly CellCorrection[]): Promise<void> {
    for (let from = 0; from < corrections.length; from += CELLS_PER_WRITE) await this.#write(corrections.slice(from, from + CELLS_PER_WRITE));
  }

  /** Closes the copies, whole and durable; their names below the directory. */
  async close(): Promise<string[]> {
    for (const store of [this.#liveFile, ...this.#partitions.values()]) {
      await store.flushed();
      await store.close();
    }
    return ['live/live.mdb', ...[...this.#partitions.keys()].map((id) => `state/${partitionFile(id)}`)];
  }

  async #write(corrections: readonly CellCorrection[]): Promise<void> {
    const live = this.#live;
    const byPartition = new Map<number, CellCorrection[]>();
    const changed: MergedCell[] = [];
    for (const correction of corrections) {
      if (this.#isHeld(correction)) listOf(byPartition, this.#partitionOf(correction)).push(correction);
      else changed.push(this.#merged(correction, (live.cell(correction)?.revision ?? 0) + 1));
    }
    for (const [id, own] of byPartition) {
      const { sequence, formerRevisions } = await this.#correctShares(id, own.map(({ kind, windowStartMs, dimensions, delta }) => ({ name: { kind, windowStartMs, dimensions }, delta })));
      // The merge will find the sum of the shares' revisions here.
      own.forEach((correction, index) => changed.push(this.#merged(correction, (live.cell(correction)?.revision ?? 0) - (formerRevisions[index] as number) + sequence)));
    }
    await live.apply({ changed, settledSequences: this.#sequences, finalUpToMs: live.finalUpToMs, watermarkMs: live.watermarkMs, counters: live.conservation(), partitions: live.partitionStates() }, this.#options.nowMs);
    this.#cells += changed.length;
  }

  /** A partition has, or may have, a share of it. */
  #isHeld({ kind, windowStartMs }: CellName): boolean {
    return kind !== CellKind.hour || windowStartMs + MS_PER_HOUR > this.#live.finalUpToMs;
  }

  #merged(correction: CellCorrection, revision: number): MergedCell {
    const { kind, windowStartMs, dimensions, delta } = correction;
    const former = this.#live.cell(correction);
    return { kind, windowStartMs, dimensions, ...plusDelta(former, delta), revision, final: kind === CellKind.hour && !this.#isHeld(correction), updatedAtMs: this.#options.nowMs };
  }

  async #correctShares(id: number, corrections: readonly Correction[]): Promise<{ readonly sequence: number; readonly formerRevisions: readonly number[] }> {
    const store = this.#partitions.get(id) ?? (await this.#copyPartition(id));
    const { partitionCount, instance } = this.#options.facts;
    const { operations, sequence, formerRevisions } = restate({ id: partitionId(id), partitionCount, instance, pipeline: appsflyerPipeline, store }, corrections);
    await store.commit(operations);
    this.#sequences.set(id, sequence);
    return { sequence, formerRevisions };
  }

  async #copyPartition(id: number): Promise<OrderedStore> {
    const { path, next } = this.#options;
    const store = await copyOf(join(directoriesOf(path).state, partitionFile(id)), join(directoriesOf(next).state, partitionFile(id)), PARTITION_TABLES);
    this.#partitions.set(id, store);
    return store;
  }

  #partitionOf({ dimensions }: CellName): number {
    const bytes = Buffer.from(dimensions);
    return hash32(bytes, 0, bytes.byteLength, 0) % this.#options.facts.partitionCount;
  }
}

async function copyOf(from: string, to: string, tables: readonly string[]): Promise<OrderedStore> {
  const source = openStore({ path: from, tables });
  try {
    await source.copyTo(to);
  } finally {
    await source.close();
  }
  return openStore({ path: to, tables });
}

function listOf<Value>(lists: Map<number, Value[]>, key: number): Value[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
