/** Rules without a guard or without a test, each with the reason. */

import type { Gap } from './guard.ts';

const NOT_BUILT = 'not built';

export const GAPS: readonly Gap[] = [
  { section: 'promises', rule: 'P1: acked by all in-sync Kafka replicas; P2: rebalances; Kafka in the journal\'s place', reason: `${NOT_BUILT}: one machine, with the journal as its log` },
  { section: 'promises', rule: 'P2: power loss of a real disk', reason: 'the disk of the tests is simulated (`unit/log/faulty-disk.ts`); what a real one does after its own power loss cannot be tried here' },
  { section: 'promises', rule: 'P4: p99 below 1 s at rated load', reason: 'a test holds one event to a second; the percentiles at a rate are measured by `npm run bench:load`, which is no test' },
  { section: 'journal', rule: 'closed segments are deflated when idle', reason: NOT_BUILT },
  { section: 'state', rule: 'maps in memory grow by a bounded number of entries per batch', reason: 'only the dedupe table does; JavaScript\'s own maps double as they like' },
  { section: 'state', rule: 'dedupe runs are compacted off the actor thread', reason: 'they are compacted on it, a bounded slice a checkpoint (`actors/partition/dedupe-compaction.ts`)' },
  { section: 'time', rule: 'the day in an app\'s own zone', reason: NOT_BUILT },
];
