/**
 * Question: what does one event cost from the journal's page cache to its cells, dedupe on, in batches of 1, 64 and 512; and what do
 * a tick without records and a checkpoint cost? Expected limit: decoding (about half) and memory latency; goal under 6 µs an event.
 *
 * Run: `npm run build && node dist/bench/micro/partition.js`. New events all, 1.6 KB each, 40 campaigns x 8 countries; each round folds them
 * into a new partition. CPU time, garbage collection included. Conservation is checked in every round.
 */

import type { LogBatch, LogSlice, RecordCursor } from '../../engine/core/log.ts';
import { partitionId, type Offset } from '../../engine/core/types.ts';
import { isProgram } from '../harness/program.ts';
import { benchControls, openBenchPartition, type BenchPartition } from './bench-partition.ts';
import { MessageCursor } from './message-cursor.ts';
import { buildMessages, type MessageBuffer } from './messages.ts';
import { printTimings, type Timing } from './measure.ts';

const RECEIVED_AT_MS = Date.UTC(2026, 4, 3, 10, 16, 5);

function benchBatch(messages: MessageBuffer, sequence: number, first: number, count: number): { readonly batch: LogBatch; readonly slice: LogSlice | null } {
  const slice: LogSlice = { partition: partitionId(0), recordCount: count, start: first, end: first + count, firstIndex: 0 };
  const offset = 4_096 + sequence * 4_096;
  const batch: LogBatch = {
    offset: offset as Offset,
    journal: 0,
    endOffset: (offset + 4_096) as Offset,
    sequence,
    receivedAtMs: RECEIVED_AT_MS + sequence,
    runningTimeMs: sequence,
    recordCount: count,
    bytes: messages.bytes,
    slices: [slice],
    controls: sequence === 0 ? benchControls : [],
  };
  return { batch, slice: count === 0 ? null : slice };
}

/** CPU time of the process, which a busy machine changes less than wall time. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}

/** Folds all batches into a new partition; returns CPU nanoseconds per `units`. */
function round(batches: readonly ReturnType<typeof benchBatch>[], cursor: RecordCursor, units: number, after: (partition: BenchPartition) => void): number {
  const partition = openBenchPartition(0);
  const [first, ...rest] = batches;
  if (first !== undefined) partition.fold(first.batch, null, cursor);
  const began = cpuNs();
  for (const { batch, slice } of rest) partition.fold(batch, slice, cursor);
  const ns = (cpuNs() - began) / units;
  after(partition);
  return ns;
}

function timing(name: string, rounds: number[]): Timing {
  const sorted = rounds.sort((left, right) => left - right);
  return { name, medianNs: sorted[sorted.length >> 1] as number, minNs: sorted[0] as number, maxNs: sorted.at(-1) as number };
}

export interface PartitionBenchOptions {
  readonly events: number;
  readonly rounds: number;
}

export function benchPartition({ events, rounds }: PartitionBenchOptions): readonly Timing[] {
  const messages = buildMessages({ count: events });
  const cursor = new MessageCursor(messages.starts, messages.ends);
  const timings: Timing[] = [];
  for (const batchRecords of [1, 64, 512]) {
    const batches = [benchBatch(messages, 0, 0, 0)];
    for (let first = 0; first < events; first += batchRecords) batches.push(benchBatch(messages, batches.length, first, Math.min(batchRecords, events - first)));
    const check = (partition: BenchPartition): void => {
      const { received, accepted } = partition.report('changed');
      if (received !== events || accepted !== events) throw new Error(`bug: ${accepted} of ${received} records were accepted, of ${events} sent`);
    };
    timings.push(timing(`one event, batches of ${batchRecords}`, Array.from({ length: rounds + 1 }, () => round(batches, cursor, events, check)).slice(1)));
  }
  const ticks = Array.from({ length: events + 1 }, (_, sequence) => benchBatch(messages, sequence, 0, 0));
  timings.push(timing('one tick without records', Array.from({ length: rounds }, () => round(ticks, cursor, events, () => undefined))));
  timings.push(timing('one report and checkpoint, per new event', Array.from({ length: rounds }, () => checkpointNs(messages, cursor, events))));
  return timings;
}

function checkpointNs(messages: MessageBuffer, cursor: RecordCursor, events: number): number {
  let ns = 0;
  round([benchBatch(messages, 0, 0, 0), benchBatch(messages, 1, 0, events)], cursor, events, (partition) => {
    const began = cpuNs();
    partition.report('changed');
    partition.checkpoint();
    ns = (cpuNs() - began) / events;
  });
  return ns;
}

if (isProgram(import.meta.url)) {
  printTimings('One partition of the AppsFlyer pipeline, messages of about 1.6 KB', benchPartition({ events: 20_000, rounds: 7 }));
}
