import { describe, expect, it } from 'vitest';
import { CellKind, type PartialCell } from '../../../engine/core/cell.ts';
import { slotName, type SlotShare } from '../../../engine/core/lake-slot.ts';
import type { LogBatch } from '../../../engine/core/log.ts';
import { readVerdictLog } from '../../../engine/core/verdict-log.ts';
import type { PartitionCheckpoint } from '../../../actors/partition/index.ts';
import { foldAll, LiveCells, newStore, openToy, saveTo, type ToyPartition } from './harness.ts';
import { shifted, sliceOf, TestCursor } from './log-builder.ts';
import { model } from './reference-model.ts';
import { randomFrom, randomLog } from './random-log.ts';

const SEEDS = Array.from({ length: Number(process.env['PARTITION_SEEDS'] ?? 8) }, (_, seed) => seed + 1);
const KIND_NAMES = { [CellKind.hour]: 'hour', [CellKind.day]: 'day', [CellKind.late]: 'late' } as const;

/** What a share says, without offsets: those move when a tail is rewritten. */
const rowsOf = (share: SlotShare): unknown => ({
  dedupe: share.dedupe,
  rowCount: share.rowCount,
  batches: [...readVerdictLog(share.entries)].map(({ firstSequence, verdicts }) => [firstSequence, [...verdicts]]),
});

interface Outcome {
  readonly hash: string;
  readonly cells: readonly PartialCell[];
  readonly shares: ReadonlyMap<string, unknown>;
  readonly counts: readonly number[];
  readonly deadLetters: readonly unknown[];
}

function outcome(partition: ToyPartition, live: LiveCells, shares: ReadonlyMap<string, unknown>): Outcome {
  const { received, accepted, duplicate, late, rejected } = partition.report('changed');
  return {
    hash: partition.stateHash(),
    cells: live.sorted(),
    shares,
    counts: [received, accepted, duplicate, late, rejected],
    deadLetters: partition.deadLetters(1_000).map(({ id, code, batchSequence, index, bytes }) => [id, code, batchSequence, index, Buffer.from(bytes).toString()]),
  };
}

/** One life from end to end, reported once at the end. */
function undisturbed(batches: readonly LogBatch[]): Outcome {
  const partition = openToy(newStore(), { cellIdleCheckpoints: Infinity });
  const live = new LiveCells();
  const shares = new Map<string, unknown>();
  foldAll(partition, batches);
  live.take(partition.report('changed'));
  for (const share of partition.takeShares()) shares.set(slotName(share.slot), rowsOf(share));
  return outcome(partition, live, shares);
}

/** Crashes, failed and successful checkpoints, power losses, settlements, evictions, requests, spooled slots, moved tails. */
async function disturbed(batches: readonly LogBatch[], seed: number): Promise<Outcome> {
  const random = randomFrom(seed * 7_919);
  const chance = (share: number): boolean => random() < share;
  const store = newStore();
  const live = new LiveCells();
  const shares = new Map<string, unknown>();
  const cursor = new TestCursor();
  const open = (): ToyPartition => openToy(store, { cellIdleCheckpoints: Math.floor(random() * 2), dedupeMemoryBytesMax: chance(0.5) ? 1_000 : 2 ** 20 });
  let partition = open();
  let shift = 0;
  let provenSequence = -1;
  const settle = (): void => {
    partition.settled({ sequence: live.sequence, finalUpToMs: live.closedUpToMs });
  };
  const takeShares = (): void => {
    for (const share of partition.takeShares()) {
      const name = slotName(share.slot);
      const rows = rowsOf(share);
      if (shares.has(name)) expect(rows).toEqual(shares.get(name));
      shares.set(name, rows);
      if (chance(0.7)) partition.spooled(share.slot);
    }
  };
  /** The checkpoint in flight: the log goes on while it is committed. */
  let inFlight: PartitionCheckpoint | null = null;
  const land = async (): Promise<void> => {
    if (inFlight === null) return;
    await store.commit(inFlight.operations);
    partition.checkpointCommitted(inFlight.epoch);
    inFlight = null;
  };
  let at = 0;
  const fold = (): void => {
    const batch = shifted(batches[at] as LogBatch, (batches[at] as LogBatch).sequence > provenSequence ? shift : 0);
    partition.fold(batch, sliceOf(batch, 0), cursor);
    at++;
  };
  const cellsMax = (): number => (chance(0.3) ? Infinity : 1 + Math.floor(random() * 8));
  /** What was reported but never stored is lost, and with the power what was committed but not flushed. */
  const crash = async (): Promise<void> => {
    if (chance(0.5)) partition.report('changed', cellsMax());
    // The commit may have gone through although nobody was left to hear of it.
    if (inFlight !== null && chance(0.5)) await store.commit(inFlight.operations);
    inFlight = null;
    if (chance(0.3)) store.powerLoss();
    partition = open();
    provenSequence = partition.batchSequence;
    shift += 8 * Math.floor(random() * 100);
    // A restarted thread may begin to read before where this partition stands.
    at = Math.max(0, partition.batchSequence + 1 - Math.floor(random() * 5));
    settle();
    const end = Math.min(batches.length, at + Math.floor(random() * 60));
    while (at < end || partition.sequence < Math.max(live.sequence, live.newestRevision)) fold();
  };
  /** The log goes on, checkpoints are taken, and the thread may die again, while all is reported. */
  const recover = async (): Promise<void> => {
    for (;;) {
      live.take(partition.report('all', cellsMax()));
      if (!partition.isMidReport) return;
      if (chance(0.5) && at < batches.length) fold();
      if (chance(0.1)) partition.request([...live.cells.values()].filter(() => chance(0.1)));
      if (chance(0.1)) inFlight ??= partition.checkpoint();
      if (chance(0.3)) await land();
      if (chance(0.1)) settle();
      if (chance(0.02)) await crash();
    }
  };
  while (at < batches.length) {
    fold();
    if (chance(0.4)) live.take(partition.report(chance(0.1) ? 'asked' : 'changed', cellsMax()));
    if (chance(0.2)) settle();
    if (chance(0.1)) takeShares();
    if (chance(0.1)) partition.request([...live.cells.values()].filter(() => chance(0.1)));
    if (chance(0.15)) inFlight ??= partition.checkpoint();
    if (chance(0.4)) await land();
    if (inFlight !== null && chance(0.1)) {
      partition.checkpointFailed(inFlight.epoch);
      inFlight = null;
    }
    if (chance(0.05)) await store.flushed();
    if (!chance(0.04)) continue;
    await crash();
    await recover();
  }
  do live.take(partition.report('changed', cellsMax()));
  while (partition.isMidReport || partition.hasChanges);
  await land();
  await saveTo(partition, store);
  takeShares();
  // Everything comes back from the store alone.
  partition = open();
  settle();
  return outcome(partition, live, shares);
}

describe('a partition', () => {
  for (const seed of SEEDS) {
    it(`comes to the same state, reports and shares through crashes, evictions and settlements (seed ${seed})`, async () => {
      const { batches } = randomLog(seed, { batches: 400, limits: seed % 2 === 0 });
      const expected = undisturbed(batches);
      const [received = 0, ...verdicts] = expected.counts;
      expect(verdicts.reduce((sum, count) => sum + count, 0)).toBe(received);
      expect(Math.min(received, ...verdicts)).toBeGreaterThan(0);
      expect(await disturbed(batches, seed)).toEqual(expected);
    });

    it(`counts what a plain model counts (seed ${seed})`, () => {
      const { batches } = randomLog(seed, { batches: 600 });
      const partition = openToy(newStore());
      const live = new LiveCells();
      foldAll(partition, batches);
      const report = partition.report('changed');
      live.take(report);
      const expected = model(batches);
      const { received, accepted, duplicate, late, rejected, sequence, watermarkMs, closedUpToMs } = report;
      expect({ received, accepted, duplicate, late, rejected, sequence, watermark: watermarkMs, closed: closedUpToMs, differing: partition.stats().differingRepeats }).toEqual({ ...expected, cells: undefined });
      const cells = Object.fromEntries(
        report.cells.map((cell) => [
          `${KIND_NAMES[cell.kind]}|${cell.windowStartMs}|${cell.dimensions.replace('\u001f', '|')}`,
          { records: cell.records, sales: cell.measures[0], paid: cell.measures[1], kinds: cell.breakdown ?? {}, label: { time: cell.labels[0]?.timeMs, text: cell.labels[0]?.text }, revision: cell.revision },
        ]),
      );
      expect(cells).toEqual(Object.fromEntries(expected.cells));
      expectDaysToBeTheirHours(report.cells, batches);
    });
  }
});

/** day = its hours + their late cells, for the days that have not lost late cells. */
function expectDaysToBeTheirHours(cells: readonly PartialCell[], batches: readonly LogBatch[]): void {
  expect(batches.length).toBeGreaterThan(0);
  for (const day of cells.filter((cell) => cell.kind === CellKind.day)) {
    const parts = cells.filter((cell) => cell.kind !== CellKind.day && cell.dimensions === day.dimensions && Math.floor(cell.windowStartMs / 86_400_000) * 86_400_000 === day.windowStartMs);
    expect(day.records).toBe(parts.reduce((sum, part) => sum + part.records, 0));
    expect(day.measures[1]).toBe(parts.reduce((sum, part) => sum + (part.measures[1] as number), 0));
  }
}
