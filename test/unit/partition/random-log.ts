/** Seeded logs with everything that makes a fold hard: disorder, repeats, late ones, silence, clock edges, bad records, new rules. */
import { RecordFlag } from '../../../engine/core/record.ts';
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../../../engine/core/types.ts';
import { LogBuilder, type TestRecord } from './log-builder.ts';
import { generationControl, rulesControl, type Sale } from './toy-pipeline.ts';

/** mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** 2026-11-20T22:13:20Z: the log crosses midnight. */
export const START_MS = 1_795_212_800_000;

const RETENTION_MS = 20 * MS_PER_HOUR;

export interface RandomLogOptions {
  readonly batches: number;
  readonly limits?: boolean;
}

export function randomLog(seed: number, { batches, limits = false }: RandomLogOptions): LogBuilder {
  const random = randomFrom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const log = new LogBuilder();
  const settings = {
    ...(limits ? { dimensionLimits: { shop: 6, city: 3 }, cellsPerDayMax: 9 } : {}),
    cellRetentionMs: RETENTION_MS,
    dedupeHorizonMs: 2 * MS_PER_HOUR,
    slotBytesMax: 6_000,
  };
  const sent: string[] = [];
  let nowMs = START_MS;
  log.batch(nowMs, [], [generationControl(), rulesControl(settings)]);
  for (let at = 1; at < batches; at++) {
    const leap = random();
    nowMs += leap < 0.02 ? pick(5 * MS_PER_HOUR) : leap < 0.1 ? pick(10 * MS_PER_MINUTE) : leap < 0.6 ? pick(40 * MS_PER_SECOND) : pick(50);
    const records: TestRecord[] = [];
    for (let count = random() < 0.3 ? 0 : pick(6); count > 0; count--) records.push(record(nowMs));
    const change = random();
    const controls =
      change < 0.01 ? [rulesControl({ ...settings, allowedLatenessMs: pick(20) * MS_PER_MINUTE })]
      : change < 0.02 ? [rulesControl({ ...settings, dedupe: random() < 0.5 ? 'none' : 'push+pull-seconds' })]
      : change < 0.03 ? [rulesControl({ ...settings, slotMs: (1 + pick(60)) * MS_PER_MINUTE, ...(limits ? { dimensionLimits: { shop: 3 + pick(6), city: 2 + pick(4) } } : {}) })]
      : [];
    log.batch(nowMs, records, controls);
  }
  return log;

  function record(receivedAtMs: number): TestRecord {
    const kind = random();
    if (kind < 0.02) return { payload: '{"broken', flags: RecordFlag.malformed };
    if (kind < 0.03) return { payload: '[1]', flags: RecordFlag.notObject };
    if (kind < 0.05) return { payload: '{"broken' };
    if (kind < 0.06) return { payload: JSON.stringify({ t: receivedAtMs, shop: 'a', city: 'b', paid: 0 }) };
    if (kind < 0.2 && sent.length > 0) return { payload: sent[Math.max(0, sent.length - 1 - pick(30))] as string };
    if (kind < 0.3 && sent.length > 0) return { payload: otherVariant(sent[Math.max(0, sent.length - 1 - pick(60))] as string) };
    const age = random();
    const t =
      age < 0.02 ? receivedAtMs + 6 * MS_PER_MINUTE
      : age < 0.03 ? -5
      : age < 0.1 ? receivedAtMs + pick(5 * MS_PER_MINUTE)
      : age < 0.2 ? receivedAtMs - pick(40 * MS_PER_HOUR)
      : age < 0.3 ? receivedAtMs - pick(2 * MS_PER_HOUR)
      : receivedAtMs - pick(20 * MS_PER_SECOND);
    const sale: Sale = {
      t,
      id: `s${pick(1e9)}`,
      shop: `shop${pick(10)}`,
      city: ['Köln', 'Wien', 'Bern', 'Graz', 'Linz'][pick(5)] as string,
      paid: random() < 0.1 ? -pick(9e6) : pick(5e7),
      ...(random() < 0.5 ? { kind: ['buy', 'rent', 'look'][pick(3)] as string } : {}),
      ...(random() < 0.5 ? { name: `Shop ${pick(4)}` } : {}),
    };
    const payload = JSON.stringify(sale);
    sent.push(payload);
    return { payload };
  }

  function otherVariant(payload: string): string {
    const sale = JSON.parse(payload) as Sale;
    return JSON.stringify({ ...sale, variant: random() < 0.3 ? null : 1 + pick(3) });
  }
}
