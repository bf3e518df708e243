/**
 * A digest of everything that the log determines, and of nothing else: equal for any replay of the same log, at any number of
 * threads, whenever checkpoints, evictions and settlements happened. Reads every retained cell: for tests and `inspect`.
 */

import { createHash } from 'node:crypto';
import { CellKind } from '../../engine/core/cell.ts';
import type { Conservation } from '../../engine/core/record.ts';
import type { Rules } from '../../engine/core/rules.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { PartitionTime } from './partition-time.ts';

export interface HashedState {
  readonly sequence: number;
  readonly time: PartitionTime;
  readonly conservation: Conservation;
  readonly rejects: readonly number[];
  readonly rules: Rules | null;
  readonly table: CellTable;
  readonly hourMs: number;
  readonly dedupeDigest: string;
}

/** 64 hex digits. */
export function hashState({ sequence, time, conservation, rejects, rules, table, hourMs, dedupeDigest }: HashedState): string {
  const { watermarkMs, closedUpToMs, expiredUpToMs, runningTimeMs, lastRecordAtMs } = time.state();
  const hash = createHash('sha256');
  hash.update(JSON.stringify([sequence, watermarkMs, closedUpToMs, expiredUpToMs, runningTimeMs, lastRecordAtMs, conservation, rejects, rules, dedupeDigest]));
  const lines: string[] = [];
  for (const cell of table.all()) {
    // Closed hours and dropped days leave when the live store has settled them: their presence says nothing of the log.
    const counts = cell.kind === CellKind.hour ? cell.windowStartMs + hourMs > closedUpToMs : cell.windowStartMs >= time.droppedUpToMs;
    if (counts) lines.push(line(cell));
  }
  for (const cell of table.storedOnly(time.droppedUpToMs)) lines.push(line(cell));
  for (const text of lines.sort()) hash.update(text);
  return hash.digest('hex');
}

function line(cell: Cell): string {
  const breakdown = cell.breakdown === null ? null : cell.breakdown.entries().sort(([left], [right]) => (left < right ? -1 : 1));
  return `${JSON.stringify([cell.kind, cell.windowStartMs, cell.dimensions, cell.revision, cell.records, cell.measures, breakdown, cell.labelTimesMs, cell.labelTexts])}\n`;
}
