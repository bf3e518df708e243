/** The rules that a configuration asks for, as they are journaled: what the fold obeys, and nothing else of the settings. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import type { AppsData } from '../actors/appsflyer/apps.ts';
import { requirePossible, type PrivacyData } from '../actors/appsflyer/privacy/policy.ts';
import type { AppsflyerRulesData } from '../actors/appsflyer/rules.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { deadLetterDefaults, type Rules } from './core/rules.ts';
import { MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from './core/types.ts';
import { secretId } from './core/secret-id.ts';
import { dedupeSettings } from './dedupe-settings.ts';
import { secretsOf } from './rule-sources.ts';
import type { Settings } from './settings.ts';

/** Raises CONFIG_INVALID for what the schema cannot see. `geoFileHash`: of enrichment.geoip_file; null for none, and where nothing is folded. */
export function rulesOf(settings: Settings, geoFileHash: string | null = null): Rules {
  const known = appsflyerPipeline.dimensions.map((dimension) => dimension.name);
  const unknown = Object.keys(settings.cells.dimension_limits).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new EngineError('CONFIG_INVALID', `cells.dimension_limits.${unknown}: no such dimension: use one of ${known.join(', ')}`);
  }
  const dedupe = dedupeSettings(settings);
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
    ...deadLetterRules(settings),
    domain: domainOf(settings, geoFileHash),
  };
}

/** What is at its default has no key: the journal of a default configuration stays readable by programs that do not know it. */
function domainOf(settings: Settings, geoFileHash: string | null): AppsflyerRulesData {
  const userAgent = settings.enrichment.user_agent;
  const enrichment = { ...(geoFileHash !== null && { geoFileHash }), ...(userAgent && { userAgent }) };
  const privacy = privacyOf(settings);
  return {
    conversionEvents: settings.metrics.conversion_events,
    ...(settings.apps.s2s_authoritative.length > 0 && { s2sAuthoritativeApps: settings.apps.s2s_authoritative }),
    ...appsOf(settings),
    ...((geoFileHash !== null || userAgent) && { enrichment }),
    ...(privacy !== null && { privacy }),
  };
}

function privacyOf(settings: Settings): PrivacyData | null {
  const { fields, rotation_days: rotationDays } = settings.privacy;
  for (const [name, action] of Object.entries(fields)) {
    try {
      requirePossible(name, action);
    } catch (error) {
      throw new EngineError('CONFIG_INVALID', `privacy.fields.${messageOf(error)}`);
    }
  }
  const secrets = secretsOf(settings);
  const actions = Object.values(fields);
  if (actions.every((action) => action === 'keep')) return null;
  if (!actions.includes('hash')) return { fields };
  if (secrets[0] === undefined) throw new EngineError('CONFIG_INVALID', 'privacy.secrets: empty, and privacy.fields hashes: make a secret with openssl rand -hex 32 and set MILLRACE_PRIVACY_SECRETS or privacy.secret_file');
  return { fields, secret: secretId(secrets[0]), ...(rotationDays > 0 && { rotationDays }) };
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
