/**
 * Question: how many events a second do one and two actor threads fold, on one core and on two? Expected limit: CPU; two threads on two cores
 * fold twice as many but for what they share, caches and memory, and two on one core as many as one but for the changes between them.
 *
 * Each case is a process bound to its cores (taskset; skipped without); its threads fold their lanes of one journal into new partitions, as in recovery,
 * once to warm up and once timed, from one start. Cases take turns; the ratio is taken round by round. bench/scale-model.ts uses it.
 * Run: `npm run build && node dist/bench/micro/scale.js [--events 100000] [--rounds 5]`.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Offset } from '../../engine/core/types.ts';
import { Thread, insideThread, isMainThread } from '../../engine/threads/worker.ts';
import { figureOf, writeFigures } from '../harness/figures.ts';
import { isProgram, numberArgument } from '../harness/program.ts';
import { BENCH_PARTITIONS, openBenchPartitions } from './bench-partition.ts';
import { buildMessages } from './messages.ts';
import { foldJournal, writeJournal } from './replay.ts';

interface Start {
  readonly directory: string;
  readonly end: number;
  readonly first: number;
  readonly count: number;
}

/** `folded` is how many records were accepted, of both times. */
type Told = { readonly type: 'warm' } | { readonly type: 'done'; readonly folded: number };

interface Case {
  readonly name: string;
  readonly cores: number;
  readonly threads: number;
}

const ONE: Case = { name: 'one thread on one core', cores: 1, threads: 1 };
const SHARED: Case = { name: 'two threads on one core', cores: 1, threads: 2 };
const TWO: Case = { name: 'two threads on two cores', cores: 2, threads: 2 };
const CASES = [ONE, SHARED, TWO] as const;
const BATCH_RECORDS = 128;
const START_MS = Date.UTC(2026, 4, 3, 10, 16, 5);

async function main(events: number, rounds: number): Promise<void> {
  const cores = availableParallelism();
  if (cores < 2 || spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0) {
    process.stdout.write('skipped: it takes two cores and taskset\n');
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-scale-'));
  try {
    const end = await writeJournal({ directory, messages: buildMessages({ count: events }), batchRecords: BATCH_RECORDS, nowMs: START_MS });
    const rates = new Map<Case, number[]>(CASES.map((one) => [one, []]));
    for (let round = 0; round < rounds; round++) for (const one of CASES) rates.get(one)?.push(events / timed(one, cores, directory, end, events));
    for (const [{ name }, own] of rates) {
      const { median, low, high } = figureOf(own);
      process.stdout.write(`${name.padEnd(26)} ${Math.round(median)} events/s (${Math.round(low)} to ${Math.round(high)})\n`);
    }
    const ratioTo = (one: Case): readonly number[] => (rates.get(one) as number[]).map((rate, round) => rate / ((rates.get(ONE) as number[])[round] as number));
    const [two, shared] = [figureOf(ratioTo(TWO)), figureOf(ratioTo(SHARED))];
    process.stdout.write(`two cores ÷ one: ${two.median.toFixed(2)} (${two.low.toFixed(2)} to ${two.high.toFixed(2)}); two threads on one core ÷ one: ${shared.median.toFixed(2)} (${shared.low.toFixed(2)} to ${shared.high.toFixed(2)})\n`);
    writeFigures({ 'scale.ratio': two, 'scale.shared': shared });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Seconds. */
function timed({ name, cores, threads }: Case, coresInAll: number, directory: string, end: Offset, events: number): number {
  const last = coresInAll - 1;
  const child = spawnSync('taskset', ['-c', cores === 1 ? `${last}` : `${last - 1}-${last}`, process.execPath, fileURLToPath(import.meta.url), '--directory', directory, '--end', String(end), '--threads', String(threads)], { encoding: 'utf8' });
  const { seconds = 0, folded = 0 } = child.status === 0 ? (JSON.parse(child.stdout) as { seconds?: number; folded?: number }) : {};
  if (folded !== 2 * events) throw new Error(`${name}: ${folded} of ${2 * events} records were folded\n${child.stderr}`);
  return seconds;
}

/** Of the process that is timed. */
async function foldInThreads(directory: string, end: number, count: number): Promise<{ readonly seconds: number; readonly folded: number }> {
  const each = BENCH_PARTITIONS / count;
  const lanes = Array.from({ length: count }, (_, lane) => new Lane({ directory, end, first: lane * each, count: each }));
  await Promise.all(lanes.map(({ warm }) => warm));
  const startMs = performance.now();
  for (const lane of lanes) lane.go();
  const folded = await Promise.all(lanes.map(({ done }) => done));
  return { seconds: (performance.now() - startMs) / 1_000, folded: folded.reduce((sum, one) => sum + one, 0) };
}

class Lane {
  readonly warm: Promise<void>;
  readonly done: Promise<number>;
  readonly #thread: Thread<'go', Told>;

  constructor(start: Start) {
    let onWarm = (): void => undefined;
    let onDone: (folded: number) => void = () => undefined;
    let onFailed: (error: Error) => void = () => undefined;
    this.warm = new Promise((resolve) => (onWarm = resolve));
    this.done = new Promise((resolve, reject) => {
      onDone = resolve;
      onFailed = reject;
    });
    this.#thread = new Thread('scale', new URL(import.meta.url), start, {
      onMessage: (told) => {
        if (told.type === 'warm') onWarm();
        else onDone(told.folded);
      },
      onExit: ({ error }) => {
        onFailed(error ?? new Error('a thread ended without a result'));
        onWarm();
      },
    });
  }

  go(): void {
    this.#thread.post('go');
  }
}

async function fold({ directory, end, first, count }: Start): Promise<number> {
  const actors = openBenchPartitions(first, count);
  await foldJournal({ directory, end: end as Offset, actors, lane: { first, count } });
  return actors.reduce((sum, actor) => sum + actor.stats().accepted, 0);
}

if (!isMainThread) {
  const { start, post, onMessage, close } = insideThread<Start, Told, 'go'>();
  const warm = await fold(start);
  onMessage(() => {
    void fold(start).then((folded) => {
      post({ type: 'done', folded: warm + folded });
      close();
    });
  });
  post({ type: 'warm' });
} else if (isProgram(import.meta.url)) {
  const at = process.argv.indexOf('--directory');
  if (at < 0) await main(numberArgument('events', 100_000), numberArgument('rounds', 5));
  else process.stdout.write(`${JSON.stringify(await foldInThreads(process.argv[at + 1] as string, numberArgument('end', 0), numberArgument('threads', 1)))}\n`);
}
