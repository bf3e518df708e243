/**
 * Question: how much memory does an actor thread take with 24 M identities of 10 M users and 100 K open cells, and how long does it stand
 * still while its tables grow? Goal: RssAnon + RssShmem of at most 1.2 GiB, no growth over 10 ms. Expected limit: 16 bytes per identity and
 * what finds it, some 2 KiB per cell, and what the allocator keeps of all that was ever freed.
 *
 * Events of 1.6 KB go through 32 partitions on LMDB files in a thread like the daemon's, with its checkpoints. Run:
 * `npm run build && node dist/bench/micro/memory.js [--small] [--entries 24000000] [--users 10000000] [--cells 100000] [--budget BYTES]`. Four to five
 * minutes. `--disk 240`: so many million identities straight into dedupe, most of them on disk, and no events.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Thread, insideThread, isMainThread } from '../../engine/threads/worker.ts';
import { figureOf, writeFigures } from '../harness/figures.ts';
import { machineFacts } from '../harness/machine.ts';
import { isProgram, numberArgument } from '../harness/program.ts';
import { fillPartitions, type FillOptions } from './memory-fill.ts';
import { spillDedupe, type SpillOptions } from './memory-spill.ts';

const GIB = 2 ** 30;
const PEAK_SAMPLE_MS = 50;

type Start = { readonly fill: FillOptions } | { readonly spill: SpillOptions };
type Told = { readonly sample: object } | { readonly result: object };

/** MiB that belong to no file: what the process would be short of. */
function ownMib(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return (kib('RssAnon') + kib('RssShmem')) / 1_024;
}

const rounded = (record: object): string => JSON.stringify(record, (_, value: unknown) => (typeof value === 'number' ? Number(value.toFixed(3)) : value));

async function main(): Promise<void> {
  const share = process.argv.includes('--small') ? 0.01 : 1;
  const diskEntries = numberArgument('disk', 0) * 1_000_000;
  const entries = diskEntries > 0 ? diskEntries : numberArgument('entries', 24_000_000 * share);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-memory-'));
  const common = { directory, entries, dedupeMemoryBytesMax: numberArgument('budget', GIB), checkpointEvery: 1_000_000 * share, sampleEvery: entries / 12 };
  const start: Start = diskEntries > 0 ? { spill: common } : { fill: { ...common, users: numberArgument('users', 10_000_000 * share), openCells: numberArgument('cells', 100_000 * share), hours: 24 } };
  process.stdout.write(`${JSON.stringify({ ...machineFacts(), ...start }, (key, value: unknown) => (key === 'directory' ? undefined : value))}\n`);
  let peakMib = ownMib();
  process.stdout.write(`before anything: ${peakMib.toFixed(0)} MiB\n`);
  const watch = setInterval(() => (peakMib = Math.max(peakMib, ownMib())), PEAK_SAMPLE_MS);
  try {
    const result = await inThread(start, (sample) => process.stdout.write(`${rounded({ ownMib: ownMib(), peakMib, ...sample })}\n`));
    process.stdout.write(`${rounded({ peakMib, ...result })}\n`);
    if (share === 1 && diskEntries === 0) writeFigures({ 'memory.mib': figureOf([peakMib]) });
  } finally {
    clearInterval(watch);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** In a thread of the daemon's kind: its allocations come from an arena of its own. */
function inThread(start: Start, onSample: (sample: object) => void): Promise<object> {
  return new Promise((resolve, reject) => {
    let result: object | null = null;
    new Thread<never, Told>('memory', new URL(import.meta.url), start, {
      onMessage: (told) => {
        if ('sample' in told) onSample(told.sample);
        else result = told.result;
      },
      onExit: ({ error }) => {
        if (result === null) reject(error ?? new Error('the thread ended without a result'));
        else resolve(result);
      },
    });
  });
}

if (!isMainThread) {
  const { start, post } = insideThread<Start, Told, never>();
  const onSample = (sample: object): void => {
    post({ sample });
  };
  post({ result: 'spill' in start ? await spillDedupe(start.spill, onSample) : await fillPartitions(start.fill, onSample) });
} else if (isProgram(import.meta.url)) {
  await main();
}
