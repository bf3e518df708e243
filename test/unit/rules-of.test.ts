import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { secretId } from '../../engine/core/secret-id.ts';
import { rulesOf } from '../../engine/rules-of.ts';
import { settingsSchema } from '../../engine/settings.ts';

const SECRET = '0123456789abcdef0123456789abcdef';
const rules = (settings: Record<string, unknown>) => rulesOf(settingsSchema.parse(settings));

describe('the journaled rules', () => {
  it('hold every setting that the fold obeys', () => {
    const { dimensionLimits, ...others } = rules({
      partitions: 8,
      windows: { allowed_lateness_seconds: 61, future_skew_seconds: 62, idle_after_seconds: 63 },
      dedupe: { mode: 'push+pull-seconds', horizon_hours: 72 },
      cells: { retention_days: 3, per_day_max: 80_001, dimension_limits: { country: 5 } },
      lake: { slot_minutes: 7, slot_bytes_max: 2 ** 30 },
      metrics: { conversion_events: ['level_up'] },
    });
    expect(others).toEqual({
      pipelineVersion: appsflyerPipeline.version,
      allowedLatenessMs: 61_000,
      futureSkewMs: 62_000,
      idleAfterMs: 63_000,
      dedupe: 'push+pull-seconds',
      dedupeHorizonMs: 72 * MS_PER_HOUR,
      cellRetentionMs: 3 * MS_PER_DAY,
      cellsPerDayMax: 10_001,
      slotMs: 7 * MS_PER_MINUTE,
      slotBytesMax: 2 ** 30,
      domain: { conversionEvents: ['level_up'] },
    });
    expect(Object.keys(dimensionLimits).sort()).toEqual(appsflyerPipeline.dimensions.map(({ name }) => name).sort());
    expect(dimensionLimits['country']).toBe(5);
  });

  it('name apps where any are listed, and not otherwise', () => {
    const { known, test } = { known: ['com.example.shop'], test: ['id1'] };
    expect(rules({ apps: { known, test } }).domain).toMatchObject({ apps: { known, test } });
    expect(rules({ apps: { test } }).domain).toMatchObject({ apps: { test } });
    expect(rules({}).domain).not.toHaveProperty('apps');
  });

  it('hold the rules of the domain that are not the default, and no others: what a default journals does not change', () => {
    expect(rules({}).domain).toEqual({ conversionEvents: ['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration'] });
    const declared = rules({ apps: { s2s_authoritative: ['id1'] } }).domain;
    expect(declared).toMatchObject({ s2sAuthoritativeApps: ['id1'] });
    expect([...appsflyerPipeline.domainRules(declared).s2sAuthoritativeApps]).toEqual(['id1']);
  });

  it('have no key for enrichment and privacy while these are off', () => {
    expect(rules({ privacy: { fields: { user_id: 'keep' }, secrets: [SECRET] } }).domain).toEqual(rules({}).domain);
    expect(Object.keys(rules({}).domain as object)).toEqual(['conversionEvents']);
  });

  it('name a GeoIP file by its hash and a secret by its id, never as it is', () => {
    const settings = settingsSchema.parse({ enrichment: { geoip_file: '/geo.mmdb', user_agent: true }, privacy: { fields: { user_id: 'hash', ip: 'truncate' }, secrets: [SECRET, `old-${SECRET}`], rotation_days: 30 } });
    const { domain } = rulesOf(settings, 'a'.repeat(64));
    expect(domain).toMatchObject({ enrichment: { geoFileHash: 'a'.repeat(64), userAgent: true }, privacy: { fields: { user_id: 'hash', ip: 'truncate' }, secret: secretId(SECRET), rotationDays: 30 } });
    expect(JSON.stringify(domain)).not.toContain(SECRET);
  });

  it.each([
    [{ fields: { user_id: 'hash' } }, /privacy\.secrets.*openssl/],
    [{ fields: { userid: 'drop' } }, /privacy\.fields\.userid: no such personal field/],
    [{ fields: { user_id: 'truncate' } }, /privacy\.fields\.user_id.*only addresses/],
    [{ secrets: ['too short'] }, /privacy\.secrets: secret 1 has fewer than 32/],
    [{ secret_file: '/nowhere/secrets' }, /privacy\.secret_file.*cannot be read/],
    [{ secret_file: '/nowhere/secrets', secrets: [SECRET] }, /leave one of them empty/],
  ])('are refused with %j, by name and with the fix', (privacy, problem) => {
    expect(() => rules({ privacy })).toThrow(problem);
  });

  it('name a dimension that there is not', () => {
    expect(() => rules({ cells: { dimension_limits: { contry: 5 } } })).toThrow(/cells\.dimension_limits\.contry.*country/);
  });
});
