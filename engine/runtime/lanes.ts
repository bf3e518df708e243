/** Thread counts by cores, and which partitions each actor thread owns. */

import { availableParallelism } from 'node:os';
import { JOURNALS_MAX } from '../core/log.ts';

/** A contiguous range of partitions. */
export interface Lane {
  readonly first: number;
  readonly count: number;
}

/** `configured` threads, or 0 for max(1, floor(0.3 x cores)); never more than partitions. */
export const actorThreadCount = (configured: number, partitionCount: number, cores: number = availableParallelism()): number =>
  Math.min(partitionCount, configured > 0 ? configured : Math.max(1, Math.floor(0.3 * cores)));

/** `configured` threads, or 0 for max(1, floor(0.4 x cores)). */
export const ingressThreadCount = (configured: number, cores: number = availableParallelism()): number =>
  configured > 0 ? configured : Math.min(JOURNALS_MAX, Math.max(1, Math.floor(0.4 * cores)));

/** Of the pool by default, at least: a slot of the lake and an hour of it are encoded beside each other. */
const POOL_THREADS_MIN = 2;

/** `configured` threads, or 0 for what `others` (ingress and actors) and main leave of the cores. The pool gives way, so that more than there are cores do no harm. */
export const poolThreadCount = (configured: number, others: number, cores: number = availableParallelism()): number =>
  configured > 0 ? configured : Math.max(POOL_THREADS_MIN, cores - others - 1);

/** Splits partitions over threads, in order, sizes differing by at most one. */
export function lanesOf(partitionCount: number, threads: number): Lane[] {
  return Array.from({ length: threads }, (_, index) => {
    const first = Math.floor((index * partitionCount) / threads);
    return { first, count: Math.floor(((index + 1) * partitionCount) / threads) - first };
  });
}
