/** The rules under which benches fold: the daemon's defaults, as far as they matter to speed. */

import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import type { Rules } from '../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_MINUTE } from '../../engine/core/types.ts';

export const benchRules: Rules = {
  pipelineVersion: appsflyerPipeline.version,
  allowedLatenessMs: 5 * MS_PER_MINUTE,
  futureSkewMs: 5 * MS_PER_MINUTE,
  idleAfterMs: MS_PER_MINUTE,
  dedupe: 'push-ms',
  dedupeHorizonMs: MS_PER_DAY,
  cellRetentionMs: 40 * MS_PER_DAY,
  dimensionLimits: {},
  cellsPerDayMax: 100_000,
  slotMs: 15 * MS_PER_MINUTE,
  slotBytesMax: 2 ** 32,
  domain: null,
};
