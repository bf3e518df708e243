/** What the ingress threads tell, added up: the daemon has one door and one log, however many threads write it. */

import type { IngressStats } from '../ingress/index.ts';
import type { HistogramSnapshot } from './core/histogram.ts';
import type { IngressThreadStats, SealedFigures } from './ingress-thread.ts';
import type { JournalStats } from './log/index.ts';

export interface IngressFigures {
  readonly door: IngressStats;
  /** Offsets are sums over the journals. */
  readonly journal: JournalStats;
  /** By journal: end of the newest batch with records; what follows is ticks. */
  readonly lastRecordOffsets: readonly number[];
  readonly heapBytes: readonly number[];
}

/** What each thread told last, at least one. Journals without a thread are told by the first. */
export function ingressFigures(told: ReadonlyMap<number, IngressThreadStats>): IngressFigures {
  const numbers = [...told.keys()].sort((left, right) => left - right);
  const threads = numbers.map((number) => told.get(number) as IngressThreadStats);
  const sealed = threads.flatMap((thread) => thread.sealed);
  const journals = threads.map(({ journal }) => journal);
  const journal = journals.reduce(addJournals);
  return {
    door: threads.map(({ door }) => door).reduce(addDoors),
    journal: {
      ...journal,
      durableOffset: (journal.durableOffset + sum(sealed.map(({ endOffset }) => endOffset))) as JournalStats['durableOffset'],
      lastRecordOffset: (journal.lastRecordOffset + sum(sealed.map(({ endOffset }) => endOffset))) as JournalStats['lastRecordOffset'],
      oldestReceivedAtMs: Math.min(journal.oldestReceivedAtMs, ...sealed.map(({ oldestReceivedAtMs }) => oldestReceivedAtMs)),
      bytesOnDisk: journal.bytesOnDisk + sum(sealed.map(({ bytesOnDisk }) => bytesOnDisk)),
      segments: journal.segments + sum(sealed.map(({ segments }) => segments)),
    },
    lastRecordOffsets: lastRecordOffsets(told, sealed),
    heapBytes: threads.map(({ heapBytes }) => heapBytes),
  };
}

/** 0 for a thread that has told nothing yet. */
function lastRecordOffsets(told: ReadonlyMap<number, IngressThreadStats>, sealed: readonly SealedFigures[]): number[] {
  const offsets = new Map([...[...told].map(([thread, { journal }]) => [thread, journal.lastRecordOffset as number] as const), ...sealed.map(({ journal, endOffset }) => [journal, endOffset] as const)]);
  return Array.from({ length: Math.max(...offsets.keys()) + 1 }, (_, journal) => offsets.get(journal) ?? 0);
}

const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

const LARGEST: ReadonlySet<string> = new Set(['batchRecordsLast', 'batchRecordsMax', 'commitMsMax', 'aheadMs', 'maxMs']);
const SMALLEST: ReadonlySet<string> = new Set(['oldestReceivedAtMs', 'certificateExpiresAtMs']);

function addDoors(left: IngressStats, right: IngressStats): IngressStats {
  return added(left, right) as unknown as IngressStats;
}

function addJournals(left: JournalStats, right: JournalStats): JournalStats {
  return { ...(added(left, right) as unknown as JournalStats), mode: left.mode === 'async' || right.mode === 'async' ? 'async' : 'sync' };
}

/** Figures of one shape, number by number; what only one side has is taken as it is. */
function added(left: object, right: object): Record<string, unknown> {
  const sums: Record<string, unknown> = { ...left };
  for (const [name, value] of Object.entries(right)) sums[name] = addedFigure(name, sums[name], value);
  return sums;
}

function addedFigure(name: string, left: unknown, right: unknown): unknown {
  if (left === undefined || left === null) return right;
  if (typeof left === 'number' && typeof right === 'number') return LARGEST.has(name) ? Math.max(left, right) : SMALLEST.has(name) ? Math.min(left, right) : left + right;
  if (Array.isArray(left) && Array.isArray(right)) return (left as HistogramSnapshot['counts']).map((count, bucket) => count + ((right as HistogramSnapshot['counts'])[bucket] ?? 0));
  if (typeof left === 'object' && typeof right === 'object' && right !== null) return added(left, right);
  return left;
}
