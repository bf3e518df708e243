/** The rules that a configuration asks for, as they are journaled: what the fold obeys, and nothing else of the settings. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import type { AppsData } from '../actors/appsflyer/apps.ts';
import { EngineError } from './core/errors.ts';
import { deadLetterDefaults, type Rules } from './core/rules.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from './core/types.ts';
import type { Settings } from './settings.ts';

export function rulesOf(settings: Settings): Rules {
  const known = appsflyerPipeline.dimensions.map((dimension) => dimension.name);
  const unknown = Object.keys(settings.cells.dimension_limits).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new EngineError('CONFIG_INVALID', `cells.dimension_limits.${unknown}: no such dimension: use one of ${known.join(', ')}`);
  }
  return {
    pipelineVersion: appsflyerPipeline.version,
    allowedLatenessMs: settings.windows.allowed_lateness_seconds * MS_PER_SECOND,
    futureSkewMs: settings.windows.future_skew_seconds * MS_PER_SECOND,
    idleAfterMs: settings.windows.idle_after_seconds * MS_PER_SECOND,
    dedupe: settings.dedupe.mode,
    dedupeHorizonMs: settings.dedupe.horizon_hours * MS_PER_HOUR,
    cellRetentionMs: settings.cells.retention_days * MS_PER_DAY,
    dimensionLimits: Object.fromEntries(appsflyerPipeline.dimensions.map((dimension) => [dimension.name, settings.cells.dimension_limits[dimension.name] ?? dimension.valuesMax])),
    cellsPerDayMax: Math.max(1, Math.ceil(settings.cells.per_day_max / settings.partitions)),
    slotMs: settings.lake.slot_minutes * MS_PER_MINUTE,
    slotBytesMax: settings.lake.slot_bytes_max,
    ...deadLetterRules(settings),
    // Rules with defaults are not written: a default configuration is journaled as it always was.
    domain: {
      conversionEvents: settings.metrics.conversion_events,
      ...(settings.apps.s2s_authoritative.length > 0 && { s2sAuthoritativeApps: settings.apps.s2s_authoritative }),
      ...appsOf(settings),
    },
  };
}

function appsOf({ apps: { known, test } }: Settings): { apps?: AppsData } {
  if (known.length === 0 && test.length === 0) return {};
  return { apps: { ...(known.length > 0 && { known }), ...(test.length > 0 && { test }) } };
}

/** Nothing where it is what a journal without such a rule means: its rules then stand as they always did. */
function deadLetterRules({ dead_letters, partitions }: Settings): Pick<Rules, 'deadLetters'> {
  const deadLetters = { bytesMax: Math.floor(dead_letters.bytes_max / partitions), retentionMs: dead_letters.retention_days * MS_PER_DAY };
  return JSON.stringify(deadLetters) === JSON.stringify(deadLetterDefaults(partitions)) ? {} : { deadLetters };
}
