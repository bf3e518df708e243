/**
 * How many rows a second one pool thread turns into files of `events/`, and what each step costs: reading the record again (decode, fingerprint),
 * columns, their Arrow stream, and Parquet. The rows are the generator's messages through the AppsFlyer pipeline, one event date after the other as a slot has them.
 *
 * Expected limit: CPU. Times are the process's CPU time, so that others on the machine count less. Each round measures all four one after the
 * other; what is printed is the median of the rounds and their spread. The files of the last round are read back by DuckDB: rows, ids, money.
 * Usage: node dist/bench/micro/lake.js [rows] [--rounds 7].
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { writeFingerprintHex } from '../../engine/core/hash.ts';
import type { TextBytes } from '../../engine/core/pipeline.ts';
import { RecordSource } from '../../engine/core/record.ts';
import { assert } from '../../engine/core/types.ts';
import type { TableData } from '../../sinks/lake/column-builder.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS } from '../../sinks/lake/events-encoder.ts';
import { arrowStream, encodeParquet } from '../../sinks/lake/parquet.ts';
import { duckdb } from '../../test/support/duckdb.ts';
import { figureOf, writeFigures } from '../harness/figures.ts';
import { machineFacts, median } from '../harness/machine.ts';
import { isProgram } from '../harness/program.ts';

const START_MS = Date.UTC(2026, 10, 22, 1);
/** Distinct messages; more rows repeat them in another order, with another event id each: neither must compress to nothing. */
const MESSAGES_MAX = 100_000;
/** A prime above MESSAGES_MAX: a walk in steps of it comes to each message once. */
const STRIDE = 104_729;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

export interface LakeBenchRound {
  readonly rows: number;
  readonly files: readonly Uint8Array[];
  readonly bytesPerRow: number;
  /** CPU time per row. */
  readonly readNs: number;
  readonly columnsNs: number;
  readonly streamNs: number;
  readonly parquetNs: number;
}

/** Messages end to end, as records lie in a page of the journal. */
export interface BenchMessages {
  readonly bytes: Buffer;
  /** Where each begins, and where the last one ends. */
  readonly offsets: Float64Array;
  readonly count: number;
}

/** Messages that decode. */
export function benchMessages(count: number): BenchMessages {
  const generator = createGenerator({ seed: 7, startMs: START_MS, garbageShare: 0 });
  const messages: Buffer[] = [];
  while (messages.length < Math.min(count, MESSAGES_MAX)) {
    const message = generator.next();
    if (message.method === 'POST') messages.push(Buffer.from(message.body));
  }
  const offsets = new Float64Array(messages.length + 1);
  messages.forEach(({ byteLength }, index) => {
    offsets[index + 1] = (offsets[index] as number) + byteLength;
  });
  return { bytes: Buffer.concat(messages), offsets, count: messages.length };
}

export function benchLake(messages: BenchMessages, rows: number): LakeBenchRound {
  const readMs = readAll(messages, rows, () => undefined);
  const withoutParquetMs = encodeAll(messages, rows, () => new Uint8Array(0)).ms;
  const withStreamMs = encodeAll(messages, rows, arrowStream).ms;
  const whole = encodeAll(messages, rows, encodeParquet);
  assert(whole.rows === rows, `${rows} rows are in files, not ${whole.rows}`);
  const perRow = (ms: number): number => Math.round((ms * 1e6) / rows);
  return {
    rows,
    files: whole.files,
    bytesPerRow: whole.files.reduce((sum, { byteLength }) => sum + byteLength, 0) / rows,
    readNs: perRow(readMs),
    columnsNs: perRow(withoutParquetMs - readMs),
    streamNs: perRow(withStreamMs - withoutParquetMs),
    parquetNs: perRow(whole.ms - withStreamMs),
  };
}

const encodedNs = ({ columnsNs, streamNs, parquetNs }: LakeBenchRound): number => columnsNs + streamNs + parquetNs;

/** Rows a second and core from event to Parquet, of each round. */
export const lakeRates = (rounds: readonly LakeBenchRound[]): readonly number[] => rounds.map((round) => Math.round(1e9 / encodedNs(round)));
/** The same with reading the rows from the journal again. */
export const lakeRatesFromJournal = (rounds: readonly LakeBenchRound[]): readonly number[] => rounds.map((round) => Math.round(1e9 / (round.readNs + encodedNs(round))));

type BenchEvent = Exclude<ReturnType<typeof appsflyerPipeline.decode>, string>;

/** Decodes and names each row, as the slot's encoder does. Milliseconds. */
function readAll(messages: BenchMessages, rows: number, take: (event: BenchEvent, eventId: TextBytes) => void): number {
  const fingerprint = new Uint32Array(4);
  const digits = new Uint16Array(16);
  const eventId: TextBytes = { view: new DataView(digits.buffer), start: 0, end: digits.byteLength };
  const { bytes, offsets, count } = messages;
  const started = cpuMs();
  for (let row = 0; row < rows; row++) {
    const index = row < count ? row : (row * STRIDE) % count;
    const event = appsflyerPipeline.decode(bytes, offsets[index] as number, offsets[index + 1] as number, RecordSource.push, 0);
    if (typeof event === 'string') throw new Error(`bug: the generator's message is rejected as ${event}`);
    appsflyerPipeline.fingerprint(event, 'push-ms', fingerprint);
    fingerprint[0] = Math.imul(row, 2_654_435_761);
    writeFingerprintHex(fingerprint, digits);
    take(event, eventId);
  }
  return cpuMs() - started;
}

function encodeAll(messages: BenchMessages, rows: number, encodeTable: (table: TableData) => Uint8Array): { ms: number; rows: number; files: Uint8Array[] } {
  const sum = { ms: 0, rows: 0, files: [] as Uint8Array[] };
  const context = { eventId: '' as string | TextBytes, late: false, receivedAtMs: 0 };
  const started = cpuMs();
  const encoder = createEventsEncoder({
    columns: appsflyerPipeline.lakeColumns,
    slot: { startMs: START_MS, part: 0 },
    bounds: DEFAULT_EVENTS_BOUNDS,
    encodeTable,
    emit: (file) => {
      sum.rows += file.rows;
      sum.files.push(file.bytes);
    },
  });
  readAll(messages, rows, (event, eventId) => {
    context.eventId = eventId;
    context.receivedAtMs = event.timeMs + 700;
    encoder.append(event, context, event.timeMs);
  });
  encoder.finish();
  sum.ms = cpuMs() - started;
  return sum;
}

/** What an independent reader finds in the files must be what was decoded. */
async function checkFiles(files: readonly Uint8Array[], messages: BenchMessages, rows: number): Promise<string> {
  let micros = 0n;
  let priced = 0;
  readAll(messages, rows, (event) => {
    micros += BigInt(event.revenueMicros);
    if (event.isPriced) priced++;
  });
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-lake-'));
  try {
    files.forEach((bytes, index) => {
      writeFileSync(join(directory, `${index}.parquet`), bytes);
    });
    const [found] = await duckdb(`select count(*) as rows, count(distinct event_id) as ids, count(revenue) as priced, (sum(revenue) * 1000000)::bigint as micros,
      count(*) filter (where event_properties is not null and not json_valid(event_properties)) as broken from '${directory}/*.parquet'`);
    const expected = { rows: String(rows), ids: String(rows), priced: String(priced), micros: String(micros), broken: '0' };
    assert(JSON.stringify(found) === JSON.stringify(expected), `DuckDB finds ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
    return `read back by DuckDB: ${rows} rows and ids, revenue of ${priced} rows to the micro`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { rounds: { type: 'string', default: '7' } } });
  const rows = Number(positionals[0] ?? 500_000);
  const roundCount = Number(values.rounds);
  const messages = benchMessages(rows);
  benchLake(messages, Math.min(rows, 20_000));
  const rounds = Array.from({ length: roundCount }, () => benchLake(messages, rows));
  const last = rounds.at(-1) as LakeBenchRound;
  const rate = (name: string, rates: readonly number[]): string => `${name.padEnd(46)} ${median(rates)} rows/s (${Math.min(...rates)} to ${Math.max(...rates)})`;
  const ns = (of: (round: LakeBenchRound) => number): string => `${median(rounds.map(of))} ns`;
  const lines = [
    Object.values(machineFacts()).join(', '),
    `${rows} rows of ${appsflyerPipeline.lakeColumns.length} columns, median of ${roundCount} rounds and their spread, per core (CPU time)`,
    rate('encoded: columns and Parquet', lakeRates(rounds)),
    rate('from the journal: read again and encoded', lakeRatesFromJournal(rounds)),
    `per row: read again ${ns(({ readNs }) => readNs)}, columns ${ns(({ columnsNs }) => columnsNs)}, Arrow stream ${ns(({ streamNs }) => streamNs)}, Parquet ${ns(({ parquetNs }) => parquetNs)}; ${last.files.length} files, ${last.bytesPerRow.toFixed(1)} bytes a row`,
    await checkFiles(last.files, messages, rows),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  writeFigures({ 'lake.rate': figureOf(lakeRates(rounds)) });
}

if (isProgram(import.meta.url)) await main(process.argv.slice(2));
