/**
 * How long does one Redis value take to render, by its number of cells, with the declared pipeline's schema?
 *
 * Expected limit: writing about 600 bytes of JSON per cell, some 20 numbers and 6 texts, at a few hundred MB/s: 2 µs a cell.
 * JSON.stringify of the same, ready-made objects stands beside it. Run: `npm run build && node dist/bench/micro/redis-encode.js`.
 * Guards sinks/redis/encode.ts.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import type { MergedCell } from '../../engine/core/cell.ts';
import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { ValueEncoder } from '../../sinks/redis/encode.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type MeasureOptions, type Timing } from './measure.ts';

const schema = resultSchema(appsflyerPipeline);
const WINDOW_START_MS = Date.UTC(2026, 10, 22, 1);
const CELL_COUNTS = [1, 10, 100, 1_000, 5_000];

/** Cells of one campaign; a quarter of their measures are not 0. */
function buildCells(count: number): MergedCell[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: CellKind.hour,
    windowStartMs: WINDOW_START_MS,
    dimensions: schema.dimensions.map((name, position) => (position === 0 ? 'campaign-1' : `${name}-${Math.floor(index / 4 ** (position - 1)) % (position === 1 ? 100 : 20)}`)).join(DIMENSION_SEPARATOR),
    records: index,
    measures: schema.measures.map(({ unit }, position) => (position % 4 === 0 ? ((index + 1) * 7_919) % 1_000 : unit === 'micros' ? ((index + 1) * 13_610_000) % 1_000_000_007 : 0)),
    breakdown: index % 3 === 0 ? { af_purchase: index } : null,
    labels: schema.labels.map(() => ({ timeMs: index, text: 'Summer sale' })),
    revision: index,
    final: false,
    updatedAtMs: WINDOW_START_MS + index,
  }));
}

export function benchRedisEncode(options: MeasureOptions): readonly Timing[] {
  const encoder = new ValueEncoder(schema);
  const timings: Timing[] = [];
  for (const count of CELL_COUNTS) {
    const cells = buildCells(count);
    const encode = (): string => encoder.encode({ resultKey: 'campaign-1', windowStartMs: WINDOW_START_MS, generation: 1_763_000_000_000, cells, lateCells: [], closed: false }).json;
    const value: unknown = JSON.parse(encode());
    const scaled = { rounds: options.rounds, calls: Math.max(1, Math.ceil(options.calls / count)) };
    timings.push(measure(`${count} cells, ${encode().length} bytes`, scaled, () => Buffer.byteLength(encode())));
    timings.push(measure('  JSON.stringify of the same objects', scaled, () => Buffer.byteLength(JSON.stringify(value))));
  }
  return timings;
}

if (isProgram(import.meta.url)) {
  printTimings('One Redis value', benchRedisEncode({ rounds: 5, calls: 200_000 }));
}
