/**
 * Question: how many events a second and core does Apache Flink fold in local mode, and how many does Millrace, of the same records, to the same
 * answer? Expected limit: CPU on both sides. Goal: 3 times Flink's rate with heap state, 4.5 times that with RocksDB.
 *
 * In turns in one run, each a process bound to the same cores: Millrace's fold alone (as bench/micro/replay.ts), `millrace replay` (actor
 * threads, checkpoints to LMDB every 5 s, merge and live store), Flink with heap state and with RocksDB (checkpoints every 5 s). Rates by slope
 * between two lengths of log, which takes start-up out, and over the whole run with it. Ends with 1 where the answers differ.
 *
 * Needs Java 17, Maven and taskset; skipped without. Run: node dist/bench/peers/flink.js [--cores 1] [--rounds 3] [--small 200000] [--large 600000] [--minutes N]: no round
 * begins that would end later, by what one has taken so far.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import { CellKind } from '../../engine/core/cell.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_MINUTE } from '../../engine/core/types.ts';
import { directoriesOf, readInstance } from '../../engine/runtime/data-directory.ts';
import { openStore } from '../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { figureOf, writeFigures } from '../harness/figures.ts';
import { machineFacts, median } from '../harness/machine.ts';
import { addCells, parseRow, ReplayCells } from './replay-cells.ts';
import { writeReplayData, type ReplayData } from './replay-data.ts';

const ROOT = join(import.meta.dirname, '../../..');
const BUILT = join(ROOT, 'dist/bench/peers/flink');
/** The same on both sides. */
const CHECKPOINT_INTERVAL_MS = '5000';
const HEAP = '4g';
const OPENED = ['java.util', 'java.lang', 'java.time'].flatMap((name) => ['--add-opens', `java.base/${name}=ALL-UNNAMED`]);

interface Engine {
  readonly name: string;
  /** Processes that run at once, to leave their answer in `scratch`. */
  readonly commands: (data: ReplayData, scratch: string, cores: number) => readonly (readonly string[])[];
  readonly answer: (scratch: string) => ReplayCells | Promise<ReplayCells>;
}

const script = (path: string): readonly string[] => [process.execPath, join(import.meta.dirname, path)];

const flink = (name: string, state: 'heap' | 'rocksdb'): Engine => ({
  name,
  // One collector thread suits one core, and the heap is all there from the start.
  commands: (data, scratch, cores) => [
    ['java', cores === 1 ? '-XX:+UseSerialGC' : '-XX:+UseParallelGC', `-Xms${HEAP}`, `-Xmx${HEAP}`, ...OPENED, '-cp', `${BUILT}/classes:${BUILT}/libraries/*`, 'FlinkReplay', data.recordsDirectory, join(scratch, 'rows'), join(scratch, 'checkpoints'), state, String(cores)],
  ],
  answer: (scratch) => flinkAnswer(join(scratch, 'rows')),
});

const FOLD = 'Millrace, fold alone';
const HEAP_STATE = 'Flink, heap';
const ROCKSDB_STATE = 'Flink, RocksDB';
/** In the table of goals. */
const FLINK_FIGURES = [['flink.heap.ratio', HEAP_STATE], ['flink.rocksdb.ratio', ROCKSDB_STATE]] as const;

const ENGINES: readonly Engine[] = [
  {
    name: FOLD,
    commands: (data, scratch, cores) => Array.from({ length: cores }, (_, lane) => [...script('millrace-fold.js'), data.dataDirectory, String(lane), String(cores), join(scratch, `lane-${lane}.tsv`)]),
    answer: (scratch) => rowsOf(readdirSync(scratch).map((file) => join(scratch, file))),
  },
  {
    name: 'Millrace, replay command',
    commands: (data, scratch, cores) => [[...script('../../engine/cli.js'), 'replay', '--from', data.dataDirectory, '--into', join(scratch, 'millrace'), '--threads', String(cores)]],
    answer: (scratch) => liveAnswer(join(scratch, 'millrace')),
  },
  flink(HEAP_STATE, 'heap'),
  flink(ROCKSDB_STATE, 'rocksdb'),
];

interface Cost {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

interface Round {
  readonly small: Cost;
  readonly large: Cost;
}

/** Why the peer cannot run here, or null. */
function unavailable(): string | null {
  for (const [program, argument] of [['taskset', '--version'], ['java', '-version'], ['mvn', '-version']] as const) {
    if (spawnSync(program, [argument], { stdio: 'ignore' }).status !== 0) return `there is no ${program}`;
  }
  const { status, stdout } = spawnSync('mvn', ['-q', '-B', '-f', join(ROOT, 'bench/peers/flink/pom.xml'), 'process-classes'], { encoding: 'utf8' });
  if (status === 0) return null;
  if (/Could not (transfer|resolve)|Unknown host/i.test(stdout)) return 'Maven cannot fetch what it needs';
  throw new Error(`Maven could not build the peer:\n${stdout}`);
}

/** Runs the commands at once, bound to the cores; the shell tells the CPU time of all that it waited for. */
function run(commands: readonly (readonly string[])[], cpus: string): Cost {
  const quoted = commands.map((command) => `${command.map((word) => `'${word}'`).join(' ')} >&2 & pids="$pids $!"`).join('\n');
  const shell = `pids=\n${quoted}\nfor pid in $pids; do wait $pid || exit 1; done\ntimes`;
  const startMs = performance.now();
  const { status, stdout, stderr } = spawnSync('taskset', ['-c', cpus, 'sh', '-c', shell], { encoding: 'utf8', env: { ...process.env, MILLRACE_CHECKPOINT_INTERVAL_MS: CHECKPOINT_INTERVAL_MS } });
  const wallSeconds = (performance.now() - startMs) / 1_000;
  if (status !== 0) throw new Error(`${commands[0]?.join(' ')} failed:\n${stderr}`);
  const [user = 0, system = 0] = [...(stdout.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)].map(([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds));
  return { wallSeconds, cpuSeconds: user + system };
}

function rowsOf(files: readonly string[]): ReplayCells {
  const cells = new ReplayCells();
  for (const line of files.flatMap(linesOf)) {
    const { hourMs, dimensions, sums } = parseRow(line);
    cells.add(hourMs, dimensions, sums);
  }
  return cells;
}

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n').filter((line) => line !== '');

/** A window that fired again stands there twice: the row with more records counts. Rows of late events add to it. */
function flinkAnswer(directory: string): ReplayCells {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const [windows, late] = [files.filter((file) => file.includes('/windows/')), files.filter((file) => file.includes('/late/'))];
  const last = new Map<string, ReturnType<typeof parseRow>>();
  for (const row of windows.flatMap(linesOf).map(parseRow)) {
    const key = `${row.hourMs} ${row.dimensions}`;
    const before = last.get(key);
    if (before === undefined || (row.sums[0] as number) > (before.sums[0] as number)) last.set(key, row);
  }
  const cells = rowsOf(late);
  for (const { hourMs, dimensions, sums } of last.values()) cells.add(hourMs, dimensions, sums);
  return cells;
}

async function liveAnswer(dataDirectory: string): Promise<ReplayCells> {
  const facts = readInstance(dataDirectory);
  if (facts === null) throw new Error('bug: a replay left no data directory');
  const store = openStore({ path: join(directoriesOf(dataDirectory).live, 'live.mdb'), tables: LIVE_TABLES });
  const live = LiveStore.open({ ...facts, schema: resultSchema(appsflyerPipeline), store, retentionDays: 40 });
  const cells = new ReplayCells();
  for (const kind of [CellKind.hour, CellKind.late]) {
    for (let start = live.nextWindow(kind, 0); start !== null; start = live.nextWindow(kind, start + 1)) {
      for (const page of live.windowPages(kind, start, null)) addCells(cells, page);
    }
  }
  await store.close();
  return cells;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { cores: { type: 'string', default: '1' }, rounds: { type: 'string', default: '3' }, small: { type: 'string', default: '200000' }, large: { type: 'string', default: '600000' }, minutes: { type: 'string', default: 'Infinity' } } });
  const [cores, rounds, small, large] = [values.cores, values.rounds, values.small, values.large].map(Number) as [number, number, number, number];
  const limitMs = Number(values.minutes) * MS_PER_MINUTE;
  const reason = process.platform === 'linux' ? unavailable() : 'processes are bound to cores on Linux only';
  if (reason !== null) {
    process.stdout.write(`skipped: Apache Flink as a peer: ${reason}\n`);
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-flink-'));
  const startMs = performance.now();
  try {
    const data = await writeReplayData(directory, [small, large], cores);
    const expected = new Map<number, string>();
    const results = new Map<string, Round[]>(ENGINES.map(({ name }) => [name, []]));
    const firstMs = performance.now();
    let round = 0;
    do {
      for (const engine of ENGINES) {
        const costs: Cost[] = [];
        for (const log of data) costs.push(await measure(engine, log, join(directory, 'scratch'), cores, expected));
        results.get(engine.name)?.push({ small: costs[0] as Cost, large: costs[1] as Cost });
      }
      round++;
    } while (round < rounds && performance.now() - startMs + (performance.now() - firstMs) / round < limitMs);
    print(results, { cores, rounds: round, small, large });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(engine: Engine, data: ReplayData, scratch: string, cores: number, expected: Map<number, string>): Promise<Cost> {
  mkdirSync(scratch);
  const last = availableParallelism() - 1;
  const cost = run(engine.commands(data, scratch, cores), cores === 1 ? String(last) : `${last - cores + 1}-${last}`);
  const answer = await engine.answer(scratch);
  const text = answer.lines().join('\n');
  if (!expected.has(data.events)) {
    expected.set(data.events, text);
    const [records, installs, events, conversions, micros] = answer.totals();
    process.stdout.write(`${data.events} records: ${records} once each in ${answer.size} cells, ${installs} installs, ${events} events, ${conversions} conversions, ${micros} micros of revenue\n`);
  }
  if (text !== expected.get(data.events)) throw new Error(`${engine.name} has another answer: ${answer.size} cells, in all ${answer.totals().join(', ')}`);
  rmSync(scratch, { recursive: true });
  return cost;
}

function print(results: ReadonlyMap<string, readonly Round[]>, { cores, rounds, small, large }: Readonly<Record<'cores' | 'rounds' | 'small' | 'large', number>>): void {
  const java = execFileSync('java', ['--version'], { encoding: 'utf8' }).split('\n')[0];
  const thousands = (rate: number): string => `${(rate / 1_000).toFixed(0)} K`;
  const rates: Readonly<Record<string, (round: Round) => number>> = {
    'by slope': ({ small: less, large: more }) => (large - small) / (more.wallSeconds - less.wallSeconds) / cores,
    'by slope of CPU time': ({ small: less, large: more }) => (large - small) / (more.cpuSeconds - less.cpuSeconds),
    'whole run': ({ large: more }) => large / more.wallSeconds / cores,
  };
  process.stdout.write(`${[...Object.values(machineFacts()), java, 'Flink 1.20.1'].join(', ')}\n`);
  process.stdout.write(`Events a second and core, ${cores} core(s), logs of ${small} and ${large}, medians of ${rounds} rounds; the answers are equal\n`);
  const slope = rates['by slope'] as (round: Round) => number;
  const fold = (results.get(FOLD) as readonly Round[]).map(slope);
  writeFigures(Object.fromEntries(FLINK_FIGURES.map(([key, name]) => [key, figureOf((results.get(name) as readonly Round[]).map((round, index) => (fold[index] as number) / slope(round)))])));
  for (const [how, rate] of Object.entries(rates)) {
    for (const [name, own] of results) {
      const each = own.map(rate).sort((left, right) => left - right);
      const ratios = [...results].filter(([other]) => name.startsWith('Millrace') && other.startsWith('Flink')).map(([other, theirs]) => `${median(own.map((round, index) => rate(round) / rate(theirs[index] as Round))).toFixed(2)} x ${other}`);
      process.stdout.write(`${how.padEnd(22)}${name.padEnd(26)}${thousands(median(each)).padStart(7)} (${thousands(each[0] as number)} to ${thousands(each.at(-1) as number)})  ${ratios.join(', ')}\n`);
    }
  }
}

await main();
