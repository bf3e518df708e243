/**
 * What must come of a log, told as plainly as can be and sharing no code with the partition: a list of rules, applied record by record
 * to plain maps. No limits on dimensions; nothing is ever dropped.
 */
import type { LogBatch } from '../../../engine/core/log.ts';
import type { Rules } from '../../../engine/core/rules.ts';
import { TestCursor, sliceOf } from './log-builder.ts';
import type { Sale, SaleRules } from './toy-pipeline.ts';

const HOUR = 3_600_000;
const DAY = 86_400_000;

export interface ModelCell {
  records: number;
  sales: number;
  paid: number;
  kinds: Record<string, number>;
  label: { time: number; text: string };
  revision: number;
}

export interface Model {
  /** By `kind|window start|shop|city`. */
  cells: Map<string, ModelCell>;
  received: number;
  accepted: number;
  duplicate: number;
  late: number;
  rejected: number;
  watermark: number;
  closed: number;
  sequence: number;
  differing: number;
}

export function model(batches: readonly LogBatch[], partition = 0): Model {
  const state: Model = { cells: new Map(), received: 0, accepted: 0, duplicate: 0, late: 0, rejected: 0, watermark: -1, closed: 0, sequence: 0, differing: 0 };
  /** By id what was admitted: its variant, null for any, and its running hour. */
  const seen = new Map<string, { readonly variant: number | null; readonly hour: number }[]>();
  let rules: Rules | null = null;
  let expired = 0;
  let lastRecordAt = 0;
  let oldestHour = -Infinity;

  const advance = (): void => {
    if (rules === null) return;
    while (state.closed + HOUR + rules.allowedLatenessMs <= state.watermark) {
      // Most of the time since 1970 has no cells.
      const next = state.closed === 0 ? Math.floor((state.watermark - rules.allowedLatenessMs) / HOUR) * HOUR - 4 * DAY : state.closed + HOUR;
      state.closed = next;
      for (const [key, cell] of state.cells) if (key.startsWith(`hour|${next - HOUR}|`)) cell.revision = state.sequence;
    }
    const gone = Math.floor((state.watermark - Math.max(rules.cellRetentionMs, rules.allowedLatenessMs)) / DAY) * DAY;
    if (gone > expired) expired = gone;
  };

  const add = (kind: string, window: number, sale: Sale): void => {
    const key = `${kind}|${window}|${sale.shop}|${sale.city}`;
    const cell = state.cells.get(key) ?? { records: 0, sales: 0, paid: 0, kinds: {}, label: { time: -1, text: '' }, revision: 0 };
    state.cells.set(key, cell);
    cell.records += 1;
    cell.sales += 1;
    cell.paid += sale.paid;
    if (sale.kind !== undefined && (rules?.domain as SaleRules).kinds.includes(sale.kind)) cell.kinds[sale.kind] = (cell.kinds[sale.kind] ?? 0) + 1;
    const text = sale.name ?? '';
    if (text !== '' && (sale.t > cell.label.time || (sale.t === cell.label.time && text > cell.label.text))) cell.label = { time: sale.t, text };
    cell.revision = state.sequence;
  };

  const judge = (batch: LogBatch, flags: number, text: string): 'accepted' | 'late' | 'duplicate' | 'rejected' => {
    const obeyed = rules as Rules;
    if (flags !== 0) return 'rejected';
    let sale: Sale;
    try {
      sale = JSON.parse(text) as Sale;
    } catch {
      return 'rejected';
    }
    if (typeof sale.t !== 'number' || sale.t < 0 || sale.t > batch.receivedAtMs + obeyed.futureSkewMs) return 'rejected';
    let verdict: 'accepted' | 'late' | 'duplicate' = 'accepted';
    if (obeyed.dedupe !== 'none') {
      if (sale.id === undefined) return 'rejected';
      const hour = Math.floor(batch.runningTimeMs / HOUR);
      oldestHour = Math.max(oldestHour, hour - Math.ceil(obeyed.dedupeHorizonMs / HOUR));
      const { id, variant = 0 } = sale;
      const known = (seen.get(id) ?? []).filter((one) => one.hour >= oldestHour);
      const isKnown = known.some((one) => one.variant === variant || one.variant === null || variant === null);
      if (isKnown || (known.length > 0 && obeyed.dedupe === 'push+pull-seconds')) verdict = 'duplicate';
      else seen.set(id, [...known, { variant, hour }]);
      if (verdict === 'duplicate' && !isKnown) state.differing += 1;
    }
    if (verdict !== 'duplicate') {
      const hour = Math.floor(sale.t / HOUR) * HOUR;
      const day = Math.floor(sale.t / DAY) * DAY;
      if (hour + HOUR <= state.closed) verdict = 'late';
      if (day + DAY > expired) {
        add('day', day, sale);
        add(verdict === 'late' ? 'late' : 'hour', hour, sale);
      }
    }
    lastRecordAt = batch.runningTimeMs;
    state.watermark = Math.max(state.watermark, Math.min(sale.t, batch.receivedAtMs));
    return verdict;
  };

  const cursor = new TestCursor();
  for (const batch of batches) {
    for (const control of batch.controls) {
      const parsed = JSON.parse(Buffer.from(control).toString()) as { type: string; rules: Rules };
      if (parsed.type === 'rules') rules = parsed.rules;
    }
    state.sequence += 1;
    if (rules !== null && batch.runningTimeMs - lastRecordAt >= rules.idleAfterMs) state.watermark = Math.max(state.watermark, batch.receivedAtMs - rules.idleAfterMs);
    advance();
    const slice = sliceOf(batch, partition);
    if (slice === null) continue;
    state.received += slice.recordCount;
    cursor.reset(batch, slice);
    while (cursor.next()) {
      state.sequence += 1;
      state[judge(batch, cursor.flags, batch.bytes.toString('utf8', cursor.start, cursor.end))] += 1;
      advance();
    }
  }
  return state;
}
