/**
 * How many rows a second one pool thread turns into Parquet, and what each step costs: reading the record again (decode, fingerprint),
 * columns, and the Arrow stream with WebAssembly's writer. The rows are the generator's messages through the AppsFlyer pipeline.
 *
 * Expected limit: CPU. Times are the process's CPU time, so that others on the machine count less. Usage: node dist/bench/micro/lake.js [rows] [--runs 5]. The rows of every run are counted.
 */

import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { fingerprintHex } from '../../engine/core/hash.ts';
import { RecordSource } from '../../engine/core/record.ts';
import { assert } from '../../engine/core/types.ts';
import type { TableData } from '../../sinks/lake/column-builder.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS } from '../../sinks/lake/events-encoder.ts';
import { encodeParquet } from '../../sinks/lake/parquet.ts';

const START_MS = Date.UTC(2026, 10, 22, 1);
/** Distinct messages; more rows repeat them, with another event id each. */
const MESSAGES_MAX = 20_000;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

export interface LakeBenchResult {
  readonly rows: number;
  readonly files: number;
  readonly bytesPerRow: number;
  readonly readNs: number;
  readonly columnsNs: number;
  readonly parquetNs: number;
  readonly rowsPerSecond: number;
}

/** Messages that decode, as journal records would lie in memory. */
export function benchMessages(count: number): Buffer[] {
  const generator = createGenerator({ seed: 7, startMs: START_MS, garbageShare: 0 });
  const messages: Buffer[] = [];
  while (messages.length < Math.min(count, MESSAGES_MAX)) {
    const message = generator.next();
    if (message.method === 'POST') messages.push(Buffer.from(message.body));
  }
  return messages;
}

export function benchLake(messages: readonly Buffer[], rows: number): LakeBenchResult {
  const readMs = readAll(messages, rows, () => undefined);
  const withoutParquetMs = encodeAll(messages, rows, () => new Uint8Array(0)).ms;
  const whole = encodeAll(messages, rows, encodeParquet);
  assert(whole.rows === rows, `${rows} rows are in files, not ${whole.rows}`);
  const perRow = (ms: number): number => Math.round((ms * 1e6) / rows);
  return {
    rows,
    files: whole.files,
    bytesPerRow: whole.bytes / rows,
    readNs: perRow(readMs),
    columnsNs: perRow(withoutParquetMs - readMs),
    parquetNs: perRow(whole.ms - withoutParquetMs),
    rowsPerSecond: Math.round((rows * 1_000) / whole.ms),
  };
}

type BenchEvent = Exclude<ReturnType<typeof appsflyerPipeline.decode>, string>;

/** Decodes and names each row, as the slot's encoder does. Milliseconds. */
function readAll(messages: readonly Buffer[], rows: number, take: (event: BenchEvent, eventId: string) => void): number {
  const fingerprint = new Uint32Array(4);
  const started = cpuMs();
  for (let row = 0; row < rows; row++) {
    const bytes = messages[row % messages.length] as Buffer;
    const event = appsflyerPipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push);
    if (typeof event === 'string') throw new Error(`bug: the generator's message is rejected as ${event}`);
    appsflyerPipeline.fingerprint(event, 'push-ms', fingerprint);
    // Repeated messages must not repeat their ids: those would compress to nothing.
    fingerprint[0] = Math.imul(row, 2_654_435_761);
    take(event, fingerprintHex(fingerprint));
  }
  return cpuMs() - started;
}

function encodeAll(messages: readonly Buffer[], rows: number, encodeTable: (table: TableData) => Uint8Array): { ms: number; rows: number; files: number; bytes: number } {
  const sum = { ms: 0, rows: 0, files: 0, bytes: 0 };
  const started = cpuMs();
  const encoder = createEventsEncoder({
    columns: appsflyerPipeline.lakeColumns,
    slot: { startMs: START_MS, part: 0 },
    bounds: DEFAULT_EVENTS_BOUNDS,
    encodeTable,
    emit: (file) => {
      sum.rows += file.rows;
      sum.files++;
      sum.bytes += file.bytes.byteLength;
    },
  });
  readAll(messages, rows, (event, eventId) => encoder.append(event, { eventId, late: false, receivedAtMs: event.timeMs + 700 }, event.timeMs));
  encoder.finish();
  sum.ms = cpuMs() - started;
  return sum;
}

function main(args: readonly string[]): void {
  const rows = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 200_000);
  const runs = args.includes('--runs') ? Number(args[args.indexOf('--runs') + 1]) : 5;
  const messages = benchMessages(rows);
  benchLake(messages, Math.min(rows, 20_000));
  const results = Array.from({ length: runs }, () => benchLake(messages, rows)).sort((a, b) => a.rowsPerSecond - b.rowsPerSecond);
  const median = results[results.length >>> 1] as LakeBenchResult;
  const rssMib = (process.memoryUsage.rss() / 1024 / 1024).toFixed(0);
  process.stdout.write(
    `${rows} rows of ${appsflyerPipeline.lakeColumns.length} columns: ${median.rowsPerSecond} rows/s of CPU (${results[0]?.rowsPerSecond} to ${results.at(-1)?.rowsPerSecond}), ` +
      `${median.files} files, ${median.bytesPerRow.toFixed(1)} bytes a row\n` +
      `per row: read again ${median.readNs} ns, columns ${median.columnsNs} ns, Arrow and Parquet ${median.parquetNs} ns; rss ${rssMib} MiB; Node ${process.version}\n`,
  );
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) main(process.argv.slice(2));
