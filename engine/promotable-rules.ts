/**
 * Which changes of rules a promotion can carry out: those that change where and as what a record counts, not whether it was taken.
 *
 * A promotion corrects cells. It leaves verdicts, dead letters and fingerprints as they were: under rules that reject or tell apart other records, one
 * that was rejected would count in a cell and could be sent again from the dead letters, and one that was taken could be taken again.
 */

import type { AppsflyerRulesData } from '../actors/appsflyer/rules.ts';
import type { Rules } from './core/rules.ts';

/** Rules that say where and as what, or are for the lake and the journal alone. What is new in the rules is not among them until somebody has thought of it. */
const HARMLESS: ReadonlySet<string> = new Set(['pipelineVersion', 'allowedLatenessMs', 'idleAfterMs', 'cellRetentionMs', 'dimensionLimits', 'cellsPerDayMax', 'slotMs', 'slotBytesMax', 'deadLetters', 'domain'] satisfies (keyof Rules)[]);
const HARMLESS_OF_DOMAIN: ReadonlySet<string> = new Set(['conversionEvents', 's2sAuthoritativeApps', 'enrichment', 'privacy', 'apps'] satisfies (keyof AppsflyerRulesData)[]);
const SETTINGS: Readonly<Record<string, string>> = { dedupe: 'dedupe.mode', dedupeHorizonMs: 'dedupe.horizon_hours', futureSkewMs: 'windows.future_skew_seconds' };

/** Names of the rules that must be alike and are not, as settings; empty where a promotion can be. */
export function unpromotable(before: Rules, after: Rules): string[] {
  const [left, right] = [before.domain, after.domain] as AppsflyerRulesData[];
  return [
    ...differing(before, after, HARMLESS).map((key) => SETTINGS[key] ?? key),
    ...differing(left ?? {}, right ?? {}, HARMLESS_OF_DOMAIN),
    ...differing({ 'apps.known': left?.apps?.known }, { 'apps.known': right?.apps?.known }, new Set()),
  ];
}

function differing(left: object, right: object, without: ReadonlySet<string>): string[] {
  const [one, other] = [left, right] as Record<string, unknown>[];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].filter((name) => !without.has(name) && JSON.stringify(one?.[name]) !== JSON.stringify(other?.[name])).sort();
}
