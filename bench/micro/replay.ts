/**
 * How fast does one actor core fold a journal: read, CRC, decode, dedupe, windows, over all 32 partitions, from the page cache?
 *
 * What recovery does, and all that an actor thread does but reports and checkpoints. Expected limit: one event in one partition
 * (bench/micro/partition.ts) and its bytes read once; small batches cost more, for each is a slice of few records in many partitions.
 * Goal: 300 K events a second. Run: `npm run build && node dist/bench/micro/replay.js [--events 100000] [--rounds 5]`. CPU time, garbage
 * collection included; every round is checked for conservation.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import { systemClock } from '../../engine/core/clock.ts';
import { createPartitioner } from '../../engine/core/partition-key.ts';
import { offset, type Offset } from '../../engine/core/types.ts';
import { createRecordCursor, openJournal, openLogReader } from '../../engine/log/index.ts';
import { BENCH_INSTANCE, BENCH_PARTITIONS, benchControls, openBenchPartition } from './bench-partition.ts';
import { buildMessages, type MessageBuffer } from './messages.ts';
import { printTimings, type Timing } from './measure.ts';

const LANE = { first: 0, count: BENCH_PARTITIONS };

export interface ReplayBenchOptions {
  readonly events: number;
  readonly rounds: number;
}

export async function benchReplay({ events, rounds }: ReplayBenchOptions): Promise<readonly Timing[]> {
  const messages = buildMessages({ count: events });
  const timings: Timing[] = [];
  for (const batchRecords of [16, 128, 1_024]) {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-replay-'));
    try {
      const end = await writeJournal(directory, messages, batchRecords);
      const ns = Array.from({ length: rounds + 1 }, () => replay(directory, end, events))
        .slice(1)
        .sort((left, right) => left - right);
      timings.push({ name: `one event, batches of ${batchRecords}`, medianNs: ns[ns.length >> 1] as number, minNs: ns[0] as number, maxNs: ns.at(-1) as number });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return timings;
}

/** Returns where it ends. */
async function writeJournal(directory: string, { bytes, starts, ends }: MessageBuffer, batchRecords: number): Promise<Offset> {
  const partitioner = createPartitioner(appsflyerPipeline.partitionKey, BENCH_PARTITIONS);
  const clock = { nowMs: () => Date.UTC(2026, 4, 3, 10, 16, 5), monotonicMs: () => systemClock.monotonicMs() };
  const { writer } = await openJournal({ directory, instance: BENCH_INSTANCE, partitionCount: BENCH_PARTITIONS, clock, publish: () => undefined });
  for (const control of benchControls) writer.appendControl(control);
  for (let index = 0; index < starts.length; index++) {
    const [start, end] = [starts[index] as number, ends[index] as number];
    partitioner.locate(bytes, start, end);
    writer.append(partitioner.partition, 1, 0, bytes, start, end);
    if ((index + 1) % batchRecords === 0 || index === starts.length - 1) await writer.commit();
  }
  const end = writer.durableOffset;
  await writer.close();
  return end;
}

/** Folds the whole journal into new partitions; returns CPU nanoseconds per event. */
function replay(directory: string, end: Offset, events: number): number {
  const actors = Array.from({ length: BENCH_PARTITIONS }, (_, id) => openBenchPartition(id));
  const reader = openLogReader({ directory, lane: LANE, from: offset(4_096) });
  const cursor = createRecordCursor();
  const startUs = process.cpuUsage();
  for (let batch = reader.read(end); batch !== null; batch = reader.read(end)) {
    let slice = 0;
    for (const actor of actors) {
      const candidate = batch.slices[slice];
      const own = candidate !== undefined && candidate.partition === actor.id ? candidate : null;
      if (own !== null) slice++;
      actor.fold(batch, own, cursor);
    }
  }
  const { user, system } = process.cpuUsage(startUs);
  reader.close();
  const accepted = actors.reduce((sum, actor) => sum + actor.stats().accepted, 0);
  if (accepted !== events) throw new Error(`bug: ${accepted} of ${events} records were accepted`);
  return ((user + system) * 1_000) / events;
}

const argument = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};

if (process.argv[1]?.endsWith('replay.js') === true) {
  printTimings('Replay of a journal by one core, 32 partitions, messages of about 1.6 KB', await benchReplay({ events: argument('events', 100_000), rounds: argument('rounds', 5) }));
}
