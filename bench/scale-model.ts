/**
 * What more cores would give, from what one event costs at each stage: the rate that the threads of 4, 16 and 64 cores allow, under the split that the
 * daemon takes by itself and under the one that these costs suggest; how old a changed cell gets on the way through the one main thread; and where what
 * is not a core ends. Pure arithmetic over {@link INPUTS}; scale.md says what it means and what of it could be checked.
 *
 * Prints the tables, and writes them into bench/scale.md: `npm run build && node dist/bench/scale-model.js [--set fold=3.1 --set scaleRatio=1.8 …]`.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isProgram } from './harness/program.ts';

interface Input {
  readonly value: number;
  readonly unit: string;
  readonly origin: string;
}

/** Measured on 2 x AMD EPYC, Node 20.20, unless it says assumed. */
export const INPUTS = {
  door: { value: 8.6, unit: 'µs an event', origin: 'profile at peak (README.md): ingress thread without its journal' },
  journal: { value: 0.7, unit: 'µs an event', origin: 'profile at peak: CRC and pwrite; the sync is one for a batch' },
  fold: { value: 3.2, unit: 'µs an event', origin: 'micro/replay.ts, batches of 128' },
  report: { value: 0.7, unit: 'µs an event', origin: 'profile at peak' },
  lake: { value: 5.2, unit: 'µs an event', origin: 'micro/lake.ts: read again 2.2, columns and Arrow 1.1, Parquet 1.9' },
  scaleRatio: { value: 1.71, unit: 'times', origin: 'micro/scale.ts: two actor threads on two cores ÷ one on one' },
  partial: { value: 2.5, unit: 'µs a partial cell', origin: 'micro/merge.ts, 100,000 cells: decode 0.8, accept 1.7' },
  merged: { value: 4.8, unit: 'µs a merged cell', origin: 'micro/merge.ts and redis-encode.ts: drain 0.3, live store 2.0, its part of a Redis value 2.5' },
  mainShare: { value: 0.2, unit: 'of a core', origin: 'engine/runtime/egress.ts rests four times as long as it works' },
  partitions: { value: 32, unit: '', origin: 'default' },
  eventBytes: { value: 1_650, unit: 'bytes', origin: 'messages of the benches, with frame' },
  wireBytes: { value: 2_000, unit: 'bytes', origin: 'assumed: body, headers, TCP and the answer' },
  touchedBytes: { value: 20_000, unit: 'bytes an event', origin: 'assumed: some twelve passes over it (receive, copy, CRC, write, disk, read, CRC, scan, lake)' },
  diskBytes: { value: 1.04e9, unit: 'bytes/s', origin: 'micro/journal.ts, commits of 512' },
  networkBytes: { value: 1.25e9, unit: 'bytes/s', origin: 'assumed: one port of 10 Gbit/s' },
  memoryBytes: { value: 1e11, unit: 'bytes/s', origin: 'assumed: eight channels, half of their peak' },
  fingerprintBytes: { value: 22, unit: 'bytes an event', origin: 'micro/memory.ts: what an identity takes' },
} as const satisfies Readonly<Record<string, Input>>;

type Name = keyof typeof INPUTS;
export type Values = Readonly<Record<Name, number>>;

export const valuesOf = (changed: Partial<Values> = {}): Values => ({ ...(Object.fromEntries(Object.entries(INPUTS).map(([name, { value }]) => [name, value])) as Record<Name, number>), ...changed });

export interface Split {
  readonly ingress: number;
  readonly actors: number;
  readonly pool: number;
}

/** Of DESIGN 8; main has one core of the rest, the pool the others. */
export function daemonSplit(cores: number): Split {
  const [ingress, actors] = [Math.max(1, Math.floor(0.4 * cores)), Math.max(1, Math.floor(0.3 * cores))];
  return { ingress, actors, pool: Math.max(1, cores - ingress - actors - 1) };
}

export interface Rates {
  readonly door: number;
  readonly fold: number;
  readonly lake: number;
  readonly least: number;
  readonly boundBy: 'door' | 'fold' | 'lake';
}

/** Events a second that each stage's threads do, were no other in their way. `beside`: as slow as threads that share caches and memory are. */
export function ratesOf({ ingress, actors, pool }: Split, values: Values, beside: boolean): Rates {
  const slow = beside ? 2 / values.scaleRatio : 1;
  const rate = (threads: number, micros: number): number => (threads * 1e6) / (micros * slow);
  const rates = { door: rate(ingress, values.door + values.journal), fold: rate(actors, values.fold + values.report), lake: rate(pool, values.lake) };
  const least = Math.min(rates.door, rates.fold, rates.lake);
  return { ...rates, least, boundBy: least === rates.door ? 'door' : least === rates.fold ? 'fold' : 'lake' };
}

/** The split of which the slowest stage is fastest; main keeps a core. */
export function bestSplit(cores: number, values: Values): Split {
  let best = daemonSplit(cores);
  for (let ingress = 1; ingress <= cores - 3; ingress++) {
    for (let actors = 1; actors <= cores - 2 - ingress; actors++) {
      const split = { ingress, actors, pool: cores - 1 - ingress - actors };
      if (ratesOf(split, values, false).least > ratesOf(best, values, false).least) best = split;
    }
  }
  return best;
}

/**
 * Seconds between two sweeps of the merge, where main may spend its share on it: how old a changed cell is before it is seen. Each event changes an hour
 * and a day cell; a cell is told by each partition in which it has changed. Cells are equally popular.
 */
export function sweepSeconds(rate: number, cells: number, values: Values): number {
  const { partitions, partial, merged, mainShare } = values;
  const changed = (places: number, seconds: number): number => places * (1 - Math.exp((-2 * rate * seconds) / places));
  let seconds = 3_600;
  // It falls towards the longest pause that pays for itself.
  for (let step = 0; step < 200; step++) seconds = (changed(2 * cells * partitions, seconds) * partial + changed(2 * cells, seconds) * merged) / 1e6 / mainShare;
  return Math.max(0.025, seconds);
}

const CORES = [4, 16, 64];
const thousands = (rate: number): string => `${Math.round(rate / 1_000).toLocaleString('en-US')} K`;
const splitText = ({ ingress, actors, pool }: Split): string => `${ingress} + ${actors} + ${pool}`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

export function modelText(values: Values): string {
  const stages = CORES.map((cores) => {
    const split = daemonSplit(cores);
    const [alone, beside] = [ratesOf(split, values, false), ratesOf(split, values, true)];
    return [String(cores), splitText(split), thousands(alone.door), thousands(alone.fold), thousands(alone.lake), `${thousands(beside.least)} to ${thousands(alone.least)}`, alone.boundBy];
  });
  const suggested = CORES.map((cores) => {
    const split = bestSplit(cores, values);
    const [alone, beside] = [ratesOf(split, values, false), ratesOf(split, values, true)];
    return [String(cores), splitText(split), `${thousands(beside.least)} to ${thousands(alone.least)}`, alone.boundBy];
  });
  const ages = CORES.map((cores) => {
    const rate = ratesOf(daemonSplit(cores), values, true).least;
    return [String(cores), thousands(rate), ...[40, 5_000, 100_000].map((cells) => `${sweepSeconds(rate, cells, values).toFixed(1)} s`)];
  });
  const limits = [
    ['journal\'s disk', thousands(values.diskBytes / values.eventBytes), 'a disk of its own for each journal, or several striped; compression before the write'],
    ['network, one port', thousands(values.networkBytes / values.wireBytes), '25 or 100 Gbit/s; requests of many events'],
    ['memory', thousands(values.memoryBytes / values.touchedBytes), 'a second socket, threads bound to the memory of theirs; fewer passes'],
  ];
  const writes = CORES.map((cores) => `${Math.round((ratesOf(daemonSplit(cores), values, true).least * values.fingerprintBytes) / 1e6)} MB/s at ${cores} cores`);
  return [
    '### Inputs',
    table(['name', 'value', 'unit', 'origin'], Object.entries(INPUTS).map(([name, { unit, origin }]) => [`\`${name}\``, String(values[name as Name]), unit, origin])),
    '### The daemon\'s own split (ingress + actors + pool, and main)',
    table(['cores', 'split', 'door', 'fold', 'lake', 'events a second', 'bound by'], stages),
    '### The split that the costs suggest',
    table(['cores', 'split', 'events a second', 'bound by'], suggested),
    '### Age of a changed cell at that rate, by main\'s share, with so many hour cells open',
    table(['cores', 'events a second', '40', '5,000', '100,000'], ages),
    '### What is not a core',
    table(['limit', 'events a second', 'what lifts it'], limits),
    `Fingerprints that checkpoints write to LMDB: ${writes.join(', ')}.`,
  ].join('\n\n');
}

const BEGIN = '<!-- computed by scale-model.ts: begin -->';
const END = '<!-- end -->';

/** The page with its tables computed anew. */
export function withModel(page: string, text: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error('bug: the page has no place for the tables');
  return `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`;
}

if (isProgram(import.meta.url)) {
  const { values } = parseArgs({ options: { set: { type: 'string', multiple: true, default: [] } } });
  const changed: Partial<Record<Name, number>> = {};
  for (const text of values.set) {
    const [name = '', value = ''] = text.split('=');
    if (!(name in INPUTS) || !(Number(value) > 0)) throw new Error(`no such input, or no number: ${text}`);
    changed[name as Name] = Number(value);
  }
  const text = modelText(valuesOf(changed));
  process.stdout.write(`${text}\n`);
  const page = join(process.cwd(), 'bench/scale.md');
  // What is only tried is not written.
  if (values.set.length === 0) writeFileSync(page, withModel(readFileSync(page, 'utf8'), text));
}
