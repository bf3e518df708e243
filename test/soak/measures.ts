/** What is looked at in each sample of a soak: the process, its files, and what it tells of itself. */

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PipelineAnswer, TestDaemon } from '../support/daemon.ts';

export interface Measure {
  readonly name: string;
  readonly unit: 'bytes' | 'count' | 'ms' | '/s' | '%';
  /** Judged: must not grow. The others are shown. */
  readonly judged: boolean;
  /** Less than this in an hour is no growth. */
  readonly grain: number;
}

const MIB = 1024 ** 2;
const bytes = (name: string, judged = true): Measure => ({ name, unit: 'bytes', judged, grain: MIB });
const count = (name: string, grain: number, judged = true): Measure => ({ name, unit: 'count', judged, grain });
const shown = (name: string, unit: Measure['unit']): Measure => ({ name, unit, judged: false, grain: 0 });

export const MEASURES: readonly Measure[] = [
  bytes('memory (anonymous + shared)'),
  bytes('memory (files)', false),
  bytes('heap of the main thread'),
  bytes('memory outside the heap'),
  bytes('heaps of the other threads'),
  count('open files', 1),
  count('threads', 1),
  bytes('journal/'),
  bytes('state/'),
  bytes('live/'),
  bytes('spool/'),
  bytes('largest file of state/'),
  bytes('dead letters'),
  bytes('dedupe memory'),
  count('dedupe entries', 10_000),
  count('cells in memory', 100),
  bytes('Redis memory'),
  count('Redis keys', 100),
  shown('acknowledged', '/s'),
  shown('ack p99', 'ms'),
  shown('refused', 'count'),
  shown('lag of partitions', 'count'),
  shown('lag of sinks', 'ms'),
  shown('CPU of the daemon', '%'),
  shown('CPU of the sender', '%'),
  shown('CPU of all else', '%'),
  shown('lake', 'bytes'),
  shown('disk free', 'bytes'),
];

export type Values = Readonly<Record<string, number>>;

export function processValues(pid: number): Values {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN) * 1_024;
  return {
    'memory (anonymous + shared)': kib('RssAnon') + kib('RssShmem'),
    'memory (files)': kib('RssFile'),
    'open files': readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? NaN),
  };
}

/** Bytes of the files under a directory, by path; those that go while it is read are left out. */
export function filesOf(directory: string): Map<string, number> {
  const sizes = new Map<string, number>();
  if (!existsSync(directory)) return sizes;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size !== undefined) sizes.set(path, size);
  }
  return sizes;
}

const sum = (sizes: ReadonlyMap<string, number>): number => [...sizes.values()].reduce((total, size) => total + size, 0);

export interface StoreFiles {
  readonly values: Values;
  /** Each LMDB file by its name. */
  readonly stores: Readonly<Record<string, number>>;
}

export function storeFiles(dataDir: string): StoreFiles {
  const [journal, state, live, spool, lake] = ['journal', 'state', 'live', 'spool', 'lake'].map((folder) => filesOf(join(dataDir, folder)));
  const stores = [...(state as Map<string, number>), ...(live as Map<string, number>)].filter(([path]) => path.endsWith('.mdb'));
  return {
    values: {
      'journal/': sum(journal as Map<string, number>),
      'state/': sum(state as Map<string, number>),
      'live/': sum(live as Map<string, number>),
      'spool/': sum(spool as Map<string, number>),
      'largest file of state/': Math.max(0, ...(state as Map<string, number>).values()),
      lake: sum(lake as Map<string, number>),
    },
    stores: Object.fromEntries(stores.map(([path, size]) => [path.slice(dataDir.length + 1), size])),
  };
}

export async function daemonValues(daemon: TestDaemon): Promise<{ values: Values; pipeline: PipelineAnswer }> {
  const [page, pipeline] = await Promise.all([fetch(`${daemon.admin}/metrics`).then((answer) => answer.text()), daemon.pipeline()]);
  const figure = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1] ?? NaN);
  const sumOf = (name: string): number => [...page.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'gm'))].reduce((total, [, value]) => total + Number(value), 0);
  return {
    pipeline,
    values: {
      'heap of the main thread': figure('nodejs_heap_size_used_bytes'),
      'memory outside the heap': figure('nodejs_external_memory_bytes'),
      'heaps of the other threads': sumOf('millrace_thread_heap_bytes'),
      'dead letters': figure('millrace_dead_letter_bytes'),
      'dedupe memory': figure('millrace_dedupe_memory_bytes'),
      'dedupe entries': figure('millrace_dedupe_entries'),
      'cells in memory': figure('millrace_cells_in_memory'),
      'lag of partitions': pipeline.partitions.reduce((total, partition) => total + partition.lag_records, 0),
      'lag of sinks': Math.max(0, ...pipeline.sinks.map((sink) => sink.lag_ms)),
      'disk free': figure('millrace_disk_free_bytes'),
    },
  };
}
