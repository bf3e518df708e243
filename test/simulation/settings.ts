/** What a life is started with: each has its own, as far as settings may change over restarts. */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import type { MergeLimits } from '../../actors/merge/index.ts';
import type { Rules } from '../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../../engine/core/types.ts';
import { seededRandom } from '../unit/log/faulty-disk.ts';

/** Fixed for the life of a data directory. */
export interface StorySettings {
  readonly partitionCount: number;
  readonly segmentBytes: number;
  /** Whether old segments go; without it the whole log can be replayed at the end. */
  readonly retains: boolean;
  /** Whether the lake is in a bucket, else in a directory. */
  readonly inBucket: boolean;
  /** Silences last hours, in which fingerprints move to their table on disk and others expire. */
  readonly isLong: boolean;
  readonly dedupeHorizonMs: number;
  readonly deadLetterBytesMax: number;
  /** The life from which on dedupe compares seconds, and the same events come by Pull too; 0 for a story of Push alone. */
  readonly pullFromLife: number;
}

export interface LifeSettings {
  readonly threads: number;
  /** Ingress threads, each with its journal. */
  readonly ingresses: number;
  readonly rules: Rules;
  readonly batchBytesMax: number;
  readonly journalBatchBytesMax: number;
  readonly sparesMax: number;
  readonly slowSyncMs: number;
  readonly emitIntervalMs: number;
  readonly checkpointIntervalMs: number;
  readonly checkpointBytesMax: number;
  readonly dedupeMemoryBytesMax: number;
  readonly tickAfterMs: number;
  readonly markerCheckMs: number;
  /** For a step of a sink, and for a request to the bucket. */
  readonly patienceMs: number;
  readonly retentionMs: number;
  readonly rowsPerFile: number;
  readonly slotBytesMax: number;
  readonly spoolBytesMax: number;
  readonly heldBytesMax: number;
  readonly hourlyIntervalMs: number;
  readonly reportCellsMax: number;
  readonly mergeLimits: Partial<MergeLimits>;
}

const KIB = 1024;
/** Of a story with several ingress threads each life has another number of them, one included. */
const SEVERAL_INGRESSES = 0.4;
const INGRESSES_MAX = 3;
const WITH_PULL = 0.2;
/** They cost as much as ten others. */
const LONG_STORIES_ARE_ONE_OF = 40;
const pickOf = (random: () => number) => (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));

export function storySettings(seed: number): StorySettings {
  const pick = pickOf(seededRandom(seed ^ 0x73746f72));
  return {
    partitionCount: pick(1, 6),
    segmentBytes: pick(1, 3) * 64 * KIB,
    retains: pick(0, 2) === 0,
    inBucket: pick(0, 1) === 0,
    isLong: pick(1, LONG_STORIES_ARE_ONE_OF) === 1,
    dedupeHorizonMs: pick(0, 1) === 0 ? MS_PER_DAY : 2 * MS_PER_HOUR,
    deadLetterBytesMax: pick(1, 16) * 512,
    pullFromLife: pullFromLife(seed),
  };
}

/** From dice of their own: the others fall as they did before there was Pull. */
function pullFromLife(seed: number): number {
  const random = seededRandom(seed ^ 0x70756c72);
  return random() < WITH_PULL ? pickOf(random)(1, 2) : 0;
}

/** From dice of their own: the others fall as they did before there were several. */
function ingressesOf(seed: number, life: number): number {
  if (seededRandom(seed ^ 0x696e6772)() >= SEVERAL_INGRESSES) return 1;
  return pickOf(seededRandom((seed ^ 0x6a6f7572) + life * 7_919))(1, INGRESSES_MAX);
}

/** What may be ruled of an event on its way to the lake without a change of any total; of half of the lives. From dice of its own too. */
function domainOf(seed: number, life: number): unknown {
  const pick = pickOf(seededRandom((seed ^ 0x646f6d61) + life * 7_919));
  if (pick(0, 1) === 0) return null;
  const actions = ['keep', 'drop', 'truncate'] as const;
  return {
    ...(pick(0, 1) === 0 && { enrichment: { userAgent: true } }),
    ...(pick(0, 1) === 0 && { privacy: { fields: { ip: actions[pick(0, 2)], user_id: actions[pick(0, 1)], 'event_value.af_content_id': actions[pick(0, 1)] } } }),
  };
}

export function lifeSettings(seed: number, life: number, story: StorySettings, dedupe: Rules['dedupe']): LifeSettings {
  const random = seededRandom((seed ^ 0x6c696665) + life * 7_919);
  const pick = pickOf(random);
  const slotMs = pick(3, 30) * MS_PER_SECOND;
  const slotBytesMax = pick(8, 64) * KIB;
  return {
    threads: pick(1, Math.min(3, story.partitionCount)),
    ingresses: ingressesOf(seed, life),
    rules: {
      // Versions only rise: an older program refuses what a newer one has written.
      pipelineVersion: Math.min(appsflyerPipeline.version, life),
      allowedLatenessMs: pick(0, 5) * MS_PER_MINUTE,
      futureSkewMs: 5 * MS_PER_MINUTE,
      idleAfterMs: pick(2, 25) * MS_PER_SECOND,
      dedupe,
      dedupeHorizonMs: story.dedupeHorizonMs,
      cellRetentionMs: 40 * MS_PER_DAY,
      dimensionLimits: {},
      cellsPerDayMax: 10_000,
      slotMs,
      slotBytesMax,
      deadLetters: { bytesMax: story.deadLetterBytesMax, retentionMs: pickOf(seededRandom((seed ^ 0x64656164) + life * 7_919))(1, 60) * MS_PER_MINUTE },
      domain: domainOf(seed, life),
    },
    batchBytesMax: pick(4, 32) * KIB,
    journalBatchBytesMax: 48 * KIB,
    sparesMax: pick(0, 2),
    slowSyncMs: pick(1, 20),
    emitIntervalMs: pick(1, 25),
    checkpointIntervalMs: pick(1, 20) * 100,
    checkpointBytesMax: pick(2, 64) * KIB,
    dedupeMemoryBytesMax: pick(1, 64) * 256,
    tickAfterMs: story.isLong ? 2_000 : pick(2, 10) * 100,
    markerCheckMs: pick(2, 20) * MS_PER_SECOND,
    patienceMs: pick(2, 15) * MS_PER_SECOND,
    retentionMs: pick(1, 30) * MS_PER_SECOND,
    rowsPerFile: pick(3, 40),
    slotBytesMax,
    spoolBytesMax: pick(1, 16) * 256,
    heldBytesMax: pick(0, 4) * 64,
    hourlyIntervalMs: pick(1, 10) * MS_PER_SECOND,
    reportCellsMax: pick(1, 8),
    mergeLimits: { outputCellsMax: pick(1, 40), idleCellsMax: pick(0, 30), idleMsMax: pick(0, 10) * MS_PER_MINUTE, requestCellsMax: pick(1, 10), pendingCellsMax: pick(1, 10) },
  };
}
