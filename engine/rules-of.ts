/** The rules that a configuration asks for, as they are journaled: what the fold obeys, and nothing else of the settings. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { EngineError } from './core/errors.ts';
import type { Rules } from './core/rules.ts';
import { MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from './core/types.ts';
import { dedupeSettings, pullOverlapHours } from './dedupe-settings.ts';
import type { Settings } from './settings.ts';

export function rulesOf(settings: Settings): Rules {
  const known = appsflyerPipeline.dimensions.map((dimension) => dimension.name);
  const unknown = Object.keys(settings.cells.dimension_limits).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new EngineError('CONFIG_INVALID', `cells.dimension_limits.${unknown}: no such dimension: use one of ${known.join(', ')}`);
  }
  const dedupe = dedupeSettings(settings.dedupe, pullOverlapHours(settings));
  return {
    pipelineVersion: appsflyerPipeline.version,
    allowedLatenessMs: settings.windows.allowed_lateness_seconds * MS_PER_SECOND,
    futureSkewMs: settings.windows.future_skew_seconds * MS_PER_SECOND,
    idleAfterMs: settings.windows.idle_after_seconds * MS_PER_SECOND,
    dedupe: dedupe.mode,
    dedupeHorizonMs: dedupe.horizonMs,
    cellRetentionMs: settings.cells.retention_days * MS_PER_DAY,
    dimensionLimits: Object.fromEntries(appsflyerPipeline.dimensions.map((dimension) => [dimension.name, settings.cells.dimension_limits[dimension.name] ?? dimension.valuesMax])),
    cellsPerDayMax: Math.max(1, Math.ceil(settings.cells.per_day_max / settings.partitions)),
    slotMs: settings.lake.slot_minutes * MS_PER_MINUTE,
    slotBytesMax: settings.lake.slot_bytes_max,
    domain: { conversionEvents: settings.metrics.conversion_events },
  };
}
