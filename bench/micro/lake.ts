/**
 * How many rows a second one pool thread turns into Parquet, and what each step costs: columns, the Arrow stream with WebAssembly's
 * writer, and the whole. Expected limit: CPU (zstd and dictionaries in WebAssembly). `node bench/micro/lake.ts [rows]`
 */

import { performance } from 'node:perf_hooks';
import type { LakeColumn, LakeContext } from '../../engine/core/pipeline.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS } from '../../sinks/lake/events-encoder.ts';
import { encodeParquet } from '../../sinks/lake/parquet.ts';

interface BenchEvent {
  readonly campaign: string;
  readonly user: string;
  readonly type: string;
  readonly timeMs: number;
  readonly revenueMicros: number | null;
  readonly country: string;
  readonly primary: boolean;
  readonly properties: string | null;
}

const text = (name: string, of: LakeColumn<BenchEvent>['of']): LakeColumn<BenchEvent> => ({ name, type: 'text', of });
const dictionary = (name: string, of: LakeColumn<BenchEvent>['of']): LakeColumn<BenchEvent> => ({ name, type: 'dictionary', of });

const COLUMNS: readonly LakeColumn<BenchEvent>[] = [
  text('event_id', (_, context) => context.eventId),
  dictionary('campaign_id', (event) => event.campaign),
  text('user_id', (event) => event.user),
  dictionary('event_type', (event) => event.type),
  { name: 'timestamp', type: 'timestamp_micros', of: (event) => event.timeMs },
  { name: 'revenue', type: 'decimal_micros', of: (event) => event.revenueMicros },
  dictionary('app_id', () => 'com.example.puzzle'),
  dictionary('platform', () => 'android'),
  dictionary('media_source', (event) => event.campaign.slice(0, 5)),
  dictionary('country', (event) => event.country),
  dictionary('device', () => 'phone'),
  dictionary('attribution', () => 'ua'),
  dictionary('campaign', (event) => event.campaign),
  dictionary('campaign_id_kind', () => 'id'),
  dictionary('event_name', (event) => event.type),
  { name: 'is_install', type: 'boolean', of: (event) => event.type === 'install' },
  { name: 'is_primary', type: 'boolean', of: (event) => event.primary },
  { name: 'late', type: 'boolean', of: (_, context) => context.late },
  { name: 'received_at', type: 'timestamp_micros', of: (_, context) => context.receivedAtMs },
  text('event_properties', (event) => event.properties),
];

const DAY_MS = Date.UTC(2026, 10, 22);
const EVENT_TYPES = ['install', 'af_login', 'af_purchase', 'af_level_achieved', 'af_content_view'];
const COUNTRIES = ['US', 'DE', 'BR', 'JP', 'IN', 'GB', 'FR', 'TR'];

/** A small generator of its own, so that every run encodes the same rows. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

export interface BenchRow {
  readonly event: BenchEvent;
  readonly context: LakeContext;
}

export function benchRows(count: number): BenchRow[] {
  const random = randomOf(7);
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;
  const hex = (digits: number): string => Array.from({ length: digits / 8 }, () => Math.floor(random() * 0x1_0000_0000).toString(16).padStart(8, '0')).join('');
  return Array.from({ length: count }, (_, index) => {
    const type = pick(EVENT_TYPES);
    const timeMs = DAY_MS + 3_600_000 + Math.floor(random() * 900_000);
    const event = {
      campaign: `camp_${Math.floor(random() * 300)}`,
      user: `${Math.floor(random() * 1e13)}-${Math.floor(random() * 1e18)}`,
      type,
      timeMs,
      revenueMicros: type === 'af_purchase' ? Math.floor(random() * 50_000_000) : null,
      country: pick(COUNTRIES),
      primary: random() > 0.05,
      properties: type === 'install' ? null : `{"af_currency":"USD","af_content_id":"sku_${Math.floor(random() * 5_000)}","af_quantity":${index % 4},"af_level":${index % 90},"af_order_id":"${hex(16)}"}`,
    };
    return { event, context: { eventId: hex(32), late: false, receivedAtMs: timeMs + 700 } };
  });
}

export interface LakeBenchResult {
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  readonly columnsMs: number;
  readonly parquetMs: number;
  readonly rowsPerSecond: number;
}

export function benchLake(rows: readonly BenchRow[]): LakeBenchResult {
  let files = 0;
  let bytes = 0;
  let parquetMs = 0;
  const started = performance.now();
  const encoder = createEventsEncoder({
    columns: COLUMNS,
    slot: { startMs: DAY_MS, part: 0 },
    bounds: DEFAULT_EVENTS_BOUNDS,
    encodeTable: (table) => {
      const begun = performance.now();
      const encoded = encodeParquet(table);
      parquetMs += performance.now() - begun;
      return encoded;
    },
    emit: (file) => {
      files++;
      bytes += file.bytes.byteLength;
    },
  });
  for (const { event, context } of rows) encoder.append(event, context, event.timeMs);
  encoder.finish();
  const totalMs = performance.now() - started;
  return { rows: rows.length, files, bytes, columnsMs: totalMs - parquetMs, parquetMs, rowsPerSecond: Math.round((rows.length * 1_000) / totalMs) };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const rows = benchRows(Number(process.argv[2] ?? 250_000));
  benchLake(rows.slice(0, 20_000));
  const runs = Array.from({ length: 5 }, () => benchLake(rows)).sort((a, b) => a.rowsPerSecond - b.rowsPerSecond);
  const median = runs[2] as LakeBenchResult;
  const spread = `${runs[0]?.rowsPerSecond} to ${runs[4]?.rowsPerSecond}`;
  const perRow = (ms: number): string => ((ms * 1e6) / median.rows).toFixed(0);
  const rss = (process.memoryUsage.rss() / 1024 / 1024).toFixed(0);
  process.stdout.write(
    `rows ${median.rows} · files ${median.files} · ${(median.bytes / median.rows).toFixed(1)} bytes a row · ${median.rowsPerSecond} rows/s (${spread}) · ` +
      `columns ${perRow(median.columnsMs)} ns a row, parquet ${perRow(median.parquetMs)} ns a row · rss ${rss} MiB · Node ${process.version}\n`,
  );
}
