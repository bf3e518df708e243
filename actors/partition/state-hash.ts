/**
 * A digest of everything that the log determines, and of nothing else: equal for any replay of the same log, at any number of
 * threads, whenever checkpoints, evictions and settlements happened. Reads every retained cell: for tests and `inspect`.
 */

import { createHash } from 'node:crypto';
import { CellKind, type CellName } from '../../engine/core/cell.ts';
import type { Rules } from '../../engine/core/rules.ts';
import type { ErasuresState } from './erasures.ts';
import type { CellTable } from './cell-table.ts';
import type { JudgedState } from './judge.ts';
import type { PartitionTime } from './partition-time.ts';
import type { StoredCell } from './stored-cell.ts';

export interface HashedState {
  readonly sequence: number;
  readonly time: PartitionTime;
  readonly judged: JudgedState;
  readonly rules: Rules | null;
  readonly table: CellTable;
  readonly hourMs: number;
  readonly dedupeDigest: string;
  readonly deadLetterDigest: string;
  readonly erasures?: ErasuresState;
}

/** 64 hex digits. */
export function hashState({ sequence, time, judged, rules, table, hourMs, dedupeDigest, deadLetterDigest, erasures }: HashedState): string {
  const { watermarkMs, closedUpToMs, expiredUpToMs, runningTimeMs, lastRecordAtMs } = time.state();
  const hash = createHash('sha256');
  hash.update(JSON.stringify([sequence, watermarkMs, closedUpToMs, expiredUpToMs, runningTimeMs, lastRecordAtMs, judged, rules, dedupeDigest, deadLetterDigest]));
  // Where there are none the hash is the one of programs that know of none.
  if (erasures !== undefined) hash.update(JSON.stringify(erasures));
  const lines: string[] = [];
  for (const slot of table.all()) {
    const name = table.name(slot);
    // Closed hours and dropped days leave when the live store has settled them: their presence says nothing of the log.
    const counts = name.kind === CellKind.hour ? name.windowStartMs + hourMs > closedUpToMs : name.windowStartMs >= time.droppedUpToMs;
    if (counts) lines.push(line(name, table.slots.read(slot)));
  }
  for (const { name, cell } of table.storedOnly(time.droppedUpToMs)) lines.push(line(name, cell));
  for (const text of lines.sort()) hash.update(text);
  return hash.digest('hex');
}

function line({ kind, windowStartMs, dimensions }: CellName, { revision, records, measures, breakdownNames, breakdownCounts, labelTimesMs, labelTexts }: StoredCell): string {
  const breakdown = breakdownNames?.map((name, index) => [name, breakdownCounts?.[index]] as const).sort(([left], [right]) => (left < right ? -1 : 1)) ?? null;
  return `${JSON.stringify([kind, windowStartMs, dimensions, revision, records, measures, breakdown, labelTimesMs, labelTexts])}\n`;
}
