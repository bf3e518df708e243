import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fillPartitions } from '../../../bench/micro/memory-fill.ts';
import { spillDedupe } from '../../../bench/micro/memory-spill.ts';

const MIB = 2 ** 20;

async function inDirectory<Result>(run: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-memory-bench-'));
  try {
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

it('runs the memory bench small: every event accepted, and about 24 bytes an identity', async () => {
  const samples: number[] = [];
  const result = await inDirectory((directory) =>
    fillPartitions({ directory, entries: 160_000, users: 50_000, openCells: 640, hours: 24, dedupeMemoryBytesMax: 1_024 * MIB, checkpointEvery: 40_000, sampleEvery: 40_000 }, ({ events }) => samples.push(events)),
  );
  expect(samples).toHaveLength(4);
  expect(result.dedupeEntries).toBe(result.events);
  // Two pages a partition are there from the beginning, and seldom full.
  expect((result.dedupeMib * MIB - 2 * 32 * 16_384) / result.dedupeEntries).toBeLessThan(28);
  expect(result.cells).toBeGreaterThan(640);
});

it('runs it spilling: every repeat found, memory within its budget', async () => {
  const budget = 4 * MIB;
  const result = await inDirectory((directory) => spillDedupe({ directory, entries: 400_000, dedupeMemoryBytesMax: budget, checkpointEvery: 32_000, sampleEvery: 100_000 }, () => undefined));
  expect(result.inMemory).toBeLessThan(result.entries / 2);
  expect(result.dedupeMib * MIB).toBeLessThan(budget * 1.5);
  expect(result.repeats).toBeGreaterThan(result.entries / 100);
});
