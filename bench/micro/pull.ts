/**
 * What a report of a million rows of 84 columns costs: from the file to records that are ready for the journal, with rows that dedupe vouches for and with rows that are all
 * looked for in the lake; then, with `--daemon`, through the built daemon from the call to the last row counted, while its admin port is asked every 20 ms.
 *
 * Question: does memory stay constant, and does the main thread stay responsive? Expected limit: CPU of one core (csv-parse). The rows are counted in the end.
 * Usage: node dist/bench/micro/pull.js [rows] [--daemon] (about two minutes).
 */

import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { assert } from '../../engine/core/types.ts';
import { systemClock } from '../../engine/core/clock.ts';
import type { PullPorts } from '../../ingress/pull/index.ts';
import { RowEncoder } from '../../ingress/pull/rows.ts';
import { reportOf } from '../../ingress/pull/reports.ts';
import { WindowReader } from '../../ingress/pull/window-reader.ts';
import { DEFAULT_COLUMNS, PullPeer, type PullRow } from '../../test/peers/appsflyer-pull.ts';
import { TestDaemon } from '../../test/support/daemon.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type Timing } from './measure.ts';

const HOUR = 3_600_000;
const MIB = 1024 ** 2;
const APP = 'com.example.shop';
const HEADER = [...DEFAULT_COLUMNS, 'Conversion Type', 'Campaign Type', 'Device Category'];

/** A row as usual reports have it: a third of the cells filled, 0.6 KB. */
function rowOf(number: number, timeMs: number): PullRow {
  return {
    'Attributed Touch Type': 'click',
    'Attributed Touch Time': '2026-11-20 07:58:40',
    'Install Time': '2026-11-20 08:00:11',
    'Event Time': new Date(timeMs).toISOString().slice(0, 19).replace('T', ' '),
    'Event Name': 'af_purchase',
    'Event Value': `{"af_revenue":"12.50","af_currency":"EUR","af_content_id":"sku-${number}","af_quantity":2}`,
    'Event Revenue': '12.5',
    'Event Revenue Currency': 'EUR',
    'Event Revenue USD': '13.61',
    'Event Source': 'SDK',
    'Media Source': 'googleadwords_int',
    Channel: 'ACI_Search',
    Campaign: 'spring_fr',
    'Campaign ID': '21421952087',
    'Adset ID': '168145036514',
    Region: 'EU',
    'Country Code': 'FR',
    City: 'Lyon',
    IP: '192.0.2.44',
    WIFI: 'true',
    Language: 'français',
    'AppsFlyer ID': `1718000000123-${4_500_000_000_000 + number}`,
    'Advertising ID': '11111111-2222-4333-8444-555555555555',
    Platform: 'android',
    'Device Type': 'xiaomi::Redmi Note 8T',
    'OS Version': '11',
    'App Version': '4.2.0',
    'SDK Version': 'v6.12.2',
    'App ID': APP,
    'App Name': 'Example Shop',
    'Bundle ID': APP,
    'Is Retargeting': 'false',
    'Attribution Lookback': '7d',
    'Is Primary Attribution': 'true',
    'User Agent': 'Dalvik/2.1.0 (Linux; U; Android 11)',
    'Conversion Type': 'install',
    'Campaign Type': 'ua',
    'Device Category': 'phone',
  };
}

export async function writeReport(file: string, rows: number, endMs: number): Promise<void> {
  const out = createWriteStream(file);
  out.write(`${HEADER.join(',')}\n`);
  let piece = '';
  for (let number = 0; number < rows; number++) {
    const row = rowOf(number, endMs - number * 100);
    piece += `${HEADER.map((name) => (row[name] ?? '').replace(/^(.*".*)$/, (cell) => `"${cell.replaceAll('"', '""')}"`)).join(',')}\n`;
    if (piece.length < MIB && number < rows - 1) continue;
    if (!out.write(piece)) await once(out, 'drain');
    piece = '';
  }
  out.end();
  await once(out, 'close');
}

function benchEncode(): Timing {
  const encoder = RowEncoder.create({ report: reportOf('in_app_events_report'), appId: APP, header: HEADER });
  assert(encoder !== null, 'the header is one of a report');
  const row = rowOf(7, Date.now());
  const cells = HEADER.map((name) => row[name] ?? '');
  return measure('record of a row of 84 columns', { rounds: 7, calls: 50_000 }, () => encoder.encode(cells).length);
}

export interface ReaderFigures {
  readonly rows: number;
  readonly rowsPerSecond: number;
  /** CPU time of the process, so that others on the machine count less. */
  readonly cpuMicrosPerRow: number;
  /** More of the process's memory than before the first row, at most. */
  readonly grownMib: number;
}

/** `areOld`: every row is older than the horizon, and the lake has none of them. */
export async function benchReader(file: string, rows: number, { areOld }: { readonly areOld: boolean }): Promise<ReaderFigures> {
  let records = 0;
  let bytes = 0;
  let highest = 0;
  global.gc?.();
  const before = process.memoryUsage().rss;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss);
  }, 20);
  const ports: Pick<PullPorts, 'append' | 'known' | 'identify' | 'clock' | 'pause'> = {
    clock: systemClock,
    pause: async () => undefined,
    append: async (batch) => {
      records += batch.length;
      for (const record of batch) bytes += record.byteLength;
      return { accepted: batch.length, rejected: [] };
    },
    known: async ({ ids }) => new Uint8Array(ids.length / 16),
    identify: (record, out, at) => {
      out.set(record.subarray(record.length - 16), at);
      return true;
    },
  };
  const reader = new WindowReader(ports as PullPorts);
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const outcome = await reader.read({ file, report: reportOf('in_app_events_report'), appId: APP, maximumRows: rows + 1, identity: { horizonMs: areOld ? HOUR / 60 : 72 * HOUR, sinceMs: 0, rememberedSinceMs: 0 } }, new AbortController().signal, () => undefined);
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  clearInterval(timer);
  assert(outcome.type === 'read' && outcome.counts.appended === rows && records === rows && bytes > rows, `${records} records of ${rows} rows`);
  return { rows, rowsPerSecond: Math.round(rows / seconds), cpuMicrosPerRow: (user + system) / rows, grownMib: Math.round(Math.max(0, highest - before) / MIB) };
}

/** From the call to the last row counted. Delays: of a request to the admin port, without and with the report under way, ms. */
async function benchDaemon(rows: number): Promise<{ seconds: number; cpuMicrosPerRow: number; rssMib: number; idle: readonly number[]; busy: readonly number[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-pull-'));
  const peer = await PullPeer.start();
  const endMs = Date.now() - HOUR / 2;
  peer.add(APP, 'in_app_events_report', Array.from({ length: rows }, (_, number) => rowOf(number, endMs - (rows - number) * 100)));
  const env = { MILLRACE_DEDUPE_MODE: 'push+pull-seconds', MILLRACE_DEDUPE_HORIZON_HOURS: '72', MILLRACE_PULL_APPS: APP, MILLRACE_PULL_REPORTS: 'in_app_events_report', MILLRACE_PULL_URL: peer.url };
  // The token is refused until the idle daemon has been looked at.
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, 'not-yet');
  const daemon = await TestDaemon.start({ dataDir: directory, env: { ...env, MILLRACE_PULL_TOKEN_FILE: tokenFile } });
  try {
    const delays = async (until: () => Promise<boolean>): Promise<number[]> => {
      const found: number[] = [];
      for (let probes = 0; !(probes % 10 === 0 && (await until())); probes++) {
        const askedMs = performance.now();
        await (await fetch(`${daemon.admin}/healthz`)).text();
        found.push(performance.now() - askedMs);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return found.sort((a, b) => a - b);
    };
    const idleUntil = performance.now() + 5_000;
    const idle = await delays(async () => performance.now() > idleUntil);
    writeFileSync(tokenFile, peer.token);
    const cpuBefore = cpuSecondsOf(daemon.child.pid);
    const startedMs = performance.now();
    const busy = await delays(async () => (await daemon.pipeline()).conservation.received >= rows);
    const seconds = (performance.now() - startedMs) / 1_000;
    const { conservation } = await daemon.pipeline();
    assert(conservation.accepted + conservation.late === rows && conservation.duplicate === 0, `the daemon counted ${JSON.stringify(conservation)}`);
    const status = readFileSync(`/proc/${String(daemon.child.pid)}/status`, 'utf8');
    const cpuMicrosPerRow = ((cpuSecondsOf(daemon.child.pid) - cpuBefore) * 1e6) / rows;
    return { seconds, cpuMicrosPerRow, rssMib: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024), idle, busy };
  } finally {
    await TestDaemon.endAll();
    await peer.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of all its threads; in ticks of 10 ms. */
function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const at = (sorted: readonly number[], share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1);

if (isProgram(import.meta.url)) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { daemon: { type: 'boolean', default: false } } });
  const rows = Number(positionals[0] ?? 1_000_000);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-pull-'));
  const file = join(directory, 'report.csv');
  const print = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  try {
    await writeReport(file, rows, Date.now() - HOUR);
    print(`${rows} rows of ${HEADER.length} columns, ${Math.round(statSync(file).size / MIB)} MiB`);
    printTimings('one row to its record', [benchEncode()]);
    for (const areOld of [false, true]) {
      const { rowsPerSecond, cpuMicrosPerRow, grownMib } = await benchReader(file, rows, { areOld });
      print(`${areOld ? 'all looked for in the lake' : 'all vouched for by dedupe '}  ${rowsPerSecond} rows a second, ${cpuMicrosPerRow.toFixed(1)} µs of CPU a row, ${grownMib} MiB more than before`);
    }
    if (values.daemon) {
      // A million would be as many as one answer holds: the window would be halved, and its rows fetched twice.
      const fetched = Math.min(rows, 999_000);
      const { seconds, cpuMicrosPerRow, rssMib, idle, busy } = await benchDaemon(fetched);
      print(`through the daemon            ${Math.round(fetched / seconds)} rows a second from the call to the last row counted, ${cpuMicrosPerRow.toFixed(1)} µs of its CPU a row, at most ${rssMib} MiB`);
      print(`admin port, idle daemon       p50 ${at(idle, 0.5)} ms, p99 ${at(idle, 0.99)} ms, max ${at(idle, 1)} ms`);
      print(`admin port, report under way  p50 ${at(busy, 0.5)} ms, p99 ${at(busy, 0.99)} ms, max ${at(busy, 1)} ms`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
