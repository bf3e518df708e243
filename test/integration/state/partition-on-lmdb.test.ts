import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createGenerator, ExpectedTotals } from '../../../actors/appsflyer/generate/index.ts';
import { appsflyerPipeline } from '../../../actors/appsflyer/index.ts';
import { PARTITION_TABLES } from '../../../actors/partition/index.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import { RecordFlag } from '../../../engine/core/record.ts';
import { openStore } from '../../../engine/state/index.ts';
import { foldAll, newStore, openPartition } from '../../unit/partition/harness.ts';
import { LogBuilder, type TestRecord } from '../../unit/partition/log-builder.ts';
import { generationControl, rulesControl } from '../../unit/partition/toy-pipeline.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-partition-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const START_MS = Date.UTC(2026, 10, 22, 22);

/** Two hours of generated traffic in batches of up to a second, and what must come of it. */
function generated(count: number) {
  const generator = createGenerator({ seed: 11, startMs: START_MS, ratePerMinute: 60, garbageShare: 0.02, resendShare: 0.05, users: 500 });
  const expected = new ExpectedTotals();
  const log = new LogBuilder();
  log.batch(START_MS, [], [generationControl(), rulesControl({ domain: null, cellRetentionMs: 40 * 86_400_000 })]);
  let atMs = START_MS;
  let records: TestRecord[] = [];
  for (let at = 0; at < count; ) {
    const message = generator.next();
    // GET arrives here as the door has rewritten it; garbage that the door itself rejects carries its flag.
    if (message.method === 'GET') continue;
    at++;
    if (message.dueAtMs > atMs) {
      log.batch(atMs, records);
      records = [];
      atMs = message.dueAtMs + 1_000;
    }
    expected.add(message);
    records.push({ payload: message.body, flags: RecordFlag.none });
  }
  log.batch(atMs, records);
  return { batches: log.batches, expected: expected.summarise() };
}

describe('a partition of the AppsFlyer pipeline on LMDB', () => {
  const { batches, expected } = generated(6_000);
  const undisturbed = openPartition(appsflyerPipeline, newStore());
  foldAll(undisturbed, batches);

  it('counts what the generator says it sent', () => {
    const { received, accepted, late, duplicate, rejected, cells } = undisturbed.report('all');
    expect({ received, counted: accepted + late, duplicate, rejected }).toEqual({ received: expected.received, counted: expected.counted, duplicate: expected.duplicate, rejected: expected.rejected });
    const names = appsflyerPipeline.measures.map((measure) => measure.name);
    const totals: Record<string, number> = {};
    for (const cell of cells) if (cell.kind === CellKind.day) cell.measures.forEach((value, index) => (totals[names[index] as string] = (totals[names[index] as string] ?? 0) + value));
    expect(Object.fromEntries(Object.entries(totals).filter(([, value]) => value !== 0))).toEqual(Object.fromEntries(Object.entries(expected.totals).filter(([, value]) => value !== 0)));
    expect(duplicate).toBeGreaterThan(50);
  });

  it('comes to the same state through restarts and from a savepoint', async () => {
    const path = join(root, 'p000.mdb');
    let store = openStore({ path, tables: PARTITION_TABLES });
    let partition = openPartition(appsflyerPipeline, store, { cellIdleCheckpoints: 1, dedupeMemoryBytesMax: 50_000 });
    const copy = join(root, 'savepoint.mdb');
    let copied: Promise<void> | null = null;
    for (let at = 0; at < batches.length; at++) {
      foldAll(partition, batches.slice(at, at + 1));
      if (at % 40 === 0) {
        partition.report('changed');
        partition.settled({ sequence: partition.sequence, finalUpToMs: 0 });
        const checkpoint = partition.checkpoint();
        await store.commit(checkpoint?.operations ?? []);
        if (checkpoint !== null) partition.checkpointCommitted(checkpoint.epoch);
      }
      if (at === Math.floor(batches.length / 2)) copied = store.copyTo(copy);
      if (at % 700 !== 699) continue;
      await copied;
      await store.close();
      store = openStore({ path, tables: PARTITION_TABLES });
      partition = openPartition(appsflyerPipeline, store, { cellIdleCheckpoints: 1, dedupeMemoryBytesMax: 50_000 });
      foldAll(partition, batches.slice(0, at + 1));
    }
    expect(partition.stateHash()).toBe(undisturbed.stateHash());
    await copied;
    await store.close();
    const savepoint = openStore({ path: copy, tables: PARTITION_TABLES });
    const elsewhere = openPartition(appsflyerPipeline, savepoint);
    foldAll(elsewhere, batches);
    expect(elsewhere.stateHash()).toBe(undisturbed.stateHash());
    await savepoint.close();
  });
});
