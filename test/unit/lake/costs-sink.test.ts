import { describe, expect, it } from 'vitest';
import type { ChangedCostDate, CostFeed, StoredCostRow } from '../../../engine/core/costs.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { costsPath, CostsSink } from '../../../sinks/lake/costs-sink.ts';
import { isAsExpected, isOlder, type LakeTarget, type ObjectVersion, type ReplaceCondition } from '../../../sinks/lake/target.ts';

const INSTANCE = 'ab'.repeat(16);
const MARKER = `millrace/costs-${INSTANCE}.json`;
const INTERVAL_MS = 1_000;
const CHECK_MS = 60_000;

class MemoryLake implements LakeTarget {
  readonly url = 'memory:';
  readonly objects = new Map<string, { bytes: Uint8Array; version: ObjectVersion | null }>();
  fails = 0;
  reads = 0;

  async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#mayFail();
    this.objects.set(name, { bytes, version: null });
  }
  async putVersioned(name: string, bytes: Uint8Array, version: ObjectVersion): Promise<'written' | 'refused'> {
    this.#mayFail();
    const there = this.objects.get(name)?.version ?? null;
    if (there !== null && isOlder(version, there)) return 'refused';
    this.objects.set(name, { bytes, version });
    return 'written';
  }
  async replace(name: string, bytes: Uint8Array, { expected }: ReplaceCondition): Promise<boolean> {
    if (!isAsExpected(this.objects.get(name)?.bytes ?? null, expected)) return false;
    await this.put(name, bytes);
    return true;
  }
  async version(name: string): Promise<ObjectVersion | null> {
    return this.objects.get(name)?.version ?? null;
  }
  async get(name: string): Promise<Uint8Array | null> {
    this.reads++;
    this.#mayFail();
    return this.objects.get(name)?.bytes ?? null;
  }
  async list(): Promise<string[]> {
    return [];
  }
  async close(): Promise<void> {}

  /** By date: what its object holds. */
  contents(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [name, { bytes }] of this.objects) if (name.startsWith('costs/')) found[name] = Buffer.from(bytes).toString();
    return found;
  }
  #mayFail(): void {
    if (this.fails === 0) return;
    this.fails--;
    throw new EngineError('SINK_UNAVAILABLE', 'the lake is away');
  }
}

class MemoryCosts implements CostFeed {
  latest = 0;
  readonly dates = new Map<string, ChangedCostDate & { micros: number }>();
  readonly #listeners = new Set<() => void>();

  change(date: string, micros: number): void {
    this.dates.set(date, { date, revision: ++this.latest, micros });
    for (const listener of this.#listeners) listener();
  }
  changedSince(revision: number): readonly ChangedCostDate[] {
    return [...this.dates.values()].filter((date) => date.revision > revision).sort((left, right) => left.revision - right.revision);
  }
  rowsOf(date: string): { rows: StoredCostRow[]; revision: number } {
    const { micros = 0, revision = 0 } = this.dates.get(date) ?? {};
    return { rows: [{ date, appId: 'a', mediaSource: 'm', campaignId: 'c', country: '', campaign: '', currency: 'EUR', costMicros: micros, updatedAtMs: 0 }], revision };
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The clock moves when the test says so. */
class World {
  nowMs = 0;
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>();

  monotonicMs = (): number => this.nowMs;
  random = (): number => 1;
  schedule = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { dueMs: this.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const timer of this.#timers) {
      if (timer.dueMs > this.nowMs) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
    await settle();
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 300; turn++) await Promise.resolve();
};

function sinkOn(lake: MemoryLake, feed: MemoryCosts, generation = 5): { sink: CostsSink; world: World; warnings: string[] } {
  const world = new World();
  const warnings: string[] = [];
  const sink = new CostsSink({
    feed,
    target: lake,
    instance: INSTANCE,
    generation,
    intervalMs: INTERVAL_MS,
    // Micros stand in the eighth column.
    encodeTable: (table) => Promise.resolve(Buffer.from(String((table.columns[7]?.values as Int32Array)[0]))),
    warn: (text) => warnings.push(text),
    pause: () => Promise.resolve(),
    world,
  });
  sink.start();
  return { sink, world, warnings };
}

const [ONE, TWO] = ['2026-11-21', '2026-11-22'] as const;

describe('the lake of spend', () => {
  it('is not looked at while there is no spend', async () => {
    const lake = new MemoryLake();
    const { sink, world } = sinkOn(lake, new MemoryCosts());
    await settle();
    await world.pass(CHECK_MS);
    expect(lake.reads).toBe(0);
    await sink.close(0);
  });

  it('has one object a date, rewritten when the date has changed, and not more often than its interval', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    feed.change(TWO, 2);
    const { sink, world } = sinkOn(lake, feed);
    await settle();
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '1', [costsPath(TWO)]: '2' });
    feed.change(TWO, 3);
    await settle();
    expect(lake.contents()[costsPath(TWO)]).toBe('2');
    expect(sink.health()).toMatchObject({ healthy: true, settledMark: 2 });
    await world.pass(INTERVAL_MS);
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '1', [costsPath(TWO)]: '3' });
    expect(sink.health()).toMatchObject({ settledMark: 3, writes: 3, lagMs: 0 });
    await sink.close(0);
  });

  it('is not written again by the next life, which goes on from its marker', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    const first = sinkOn(lake, feed);
    await settle();
    await first.sink.close(0);
    feed.change(TWO, 2);
    const { sink } = sinkOn(lake, feed);
    await settle();
    expect(sink.health()).toMatchObject({ writes: 1, settledMark: 2 });
    await sink.close(0);
  });

  it('that is away is written when it is back, with the latest values', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    lake.fails = 3;
    const { sink, world, warnings } = sinkOn(lake, feed);
    await settle();
    expect(sink.health()).toMatchObject({ healthy: false, lastError: 'the lake is away' });
    feed.change(ONE, 2);
    for (let round = 0; round < 4; round++) await world.pass(30_000);
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '2' });
    expect([sink.health().healthy, warnings.length]).toEqual([true, 3]);
    await sink.close(0);
  });

  it('that was emptied or put back is found out within a minute and written again as far as it lacks', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    const { sink, world, warnings } = sinkOn(lake, feed);
    await settle();
    const copy = new Map(lake.objects);
    feed.change(TWO, 2);
    await world.pass(INTERVAL_MS);
    lake.objects.clear();
    await world.pass(CHECK_MS);
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '1', [costsPath(TWO)]: '2' });
    const { writes } = sink.health();
    lake.objects.clear();
    for (const [name, object] of copy) lake.objects.set(name, object);
    await world.pass(CHECK_MS);
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '1', [costsPath(TWO)]: '2' });
    expect([sink.health().writes, warnings.length]).toEqual([writes + 1, 2]);
    await sink.close(0);
  });

  it('of an older generation is written again; a newer one is left as it is', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    feed.change(ONE, 7);
    const old = sinkOn(lake, feed, 5);
    await settle();
    await old.sink.close(0);
    // Restored from before the second change, and changed in another way since: as many changes, not the same.
    const restored = new MemoryCosts();
    restored.change(ONE, 1);
    restored.change(ONE, 4);
    const next = sinkOn(lake, restored, 6);
    await settle();
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '4' });
    await next.sink.close(0);
    feed.change(ONE, 9);
    const stale = sinkOn(lake, feed, 5);
    await settle();
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '4' });
    await stale.sink.close(0);
  });

  it('whose marker is ahead of what is kept says nothing', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    feed.change(ONE, 1);
    lake.objects.set(MARKER, { bytes: Buffer.from(JSON.stringify({ version: 1, instance: INSTANCE, generation: 5, settled: 9 })), version: null });
    const { sink } = sinkOn(lake, feed);
    await settle();
    expect(lake.contents()).toEqual({ [costsPath(ONE)]: '1' });
    await sink.close(0);
  });

  it('gets the dates of many in one go', async () => {
    const [lake, feed] = [new MemoryLake(), new MemoryCosts()];
    for (let day = 0; day < 100; day++) feed.change(new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10), day);
    const { sink } = sinkOn(lake, feed);
    for (let round = 0; round < 20; round++) await settle();
    expect(Object.keys(lake.contents())).toHaveLength(100);
    await sink.close(0);
  });
});
