/** Logs of toy sales, and what a partition makes of them: the words in which the partition's tests speak. */

import { EngineError } from '../../../engine/core/errors.ts';
import { REJECT_CODES, VERDICT_NAMES } from '../../../engine/core/record.ts';
import type { Rules } from '../../../engine/core/rules.ts';
import { foldAll, newStore, openToy, type ToyPartition } from './harness.ts';
import { LogBuilder, type TestRecord } from './log-builder.ts';
import { generationControl, rulesControl } from './toy-pipeline.ts';

/** 2026-11-20T10:00:00Z. */
export const TEN = 1_795_168_800_000;
let ids = 0;

interface SaleChanges {
  readonly t?: number;
  readonly id?: string | null;
  readonly shop?: string;
  readonly city?: string;
  readonly paid?: number;
  readonly kind?: string;
  readonly name?: string;
  readonly variant?: number | null;
}

export function sale(changes: SaleChanges = {}): TestRecord {
  const { id = `id${ids++}`, ...rest } = changes;
  return { payload: JSON.stringify({ t: TEN, shop: 's', city: 'c', paid: 1, ...rest, ...(id === null ? {} : { id }) }) };
}

/** A log whose first batch carries generation and rules. */
export function logWith(changes: Partial<Rules> = {}, atMs = TEN): LogBuilder {
  const log = new LogBuilder();
  log.batch(atMs, [], [generationControl(), rulesControl(changes)]);
  return log;
}

/** Silence as the journal writes it: a tick a second. */
export function tickUntil(log: LogBuilder, fromMs: number, toMs: number): void {
  for (let atMs = fromMs; atMs <= toMs; atMs += 1_000) log.batch(atMs);
}

export const folded = (log: LogBuilder): ToyPartition => {
  const partition = openToy(newStore());
  foldAll(partition, log.batches);
  return partition;
};
export const verdicts = (partition: ToyPartition): string[] =>
  partition.tail(100).reverse().map(({ verdict, rejectCode }) => (rejectCode < 0 ? VERDICT_NAMES[verdict] : (REJECT_CODES[rejectCode] as string)));
export const cellsOf = (partition: ToyPartition): string[] =>
  partition.report('all').cells.map(({ kind, windowStartMs, dimensions, records }) => `${kind} ${new Date(windowStartMs).toISOString().slice(5, 13)} ${dimensions.replace('\u001f', '/')} ${records}`).sort();
export const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return error instanceof EngineError ? error.code : String(error);
  }
  return 'nothing raised';
};
