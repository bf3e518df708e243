import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EngineError } from '../../engine/core/errors.ts';
import { withPipelineFile } from '../../engine/pipeline-file.ts';
import { unpromotable } from '../../engine/promotable-rules.ts';
import { rulesOf } from '../../engine/rules-of.ts';
import { settingsSchema, type Settings } from '../../engine/settings.ts';

const configured: Settings = settingsSchema.parse({ windows: { allowed_lateness_seconds: 60, idle_after_seconds: 10 }, metrics: { conversion_events: ['a'] }, cells: { dimension_limits: { country: 5 } } });
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-pipeline-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const withFile = (text: string): Settings => {
  const file = join(directory, 'pipeline.yaml');
  writeFileSync(file, text);
  return withPipelineFile(configured, file);
};
const refusalOf = (text: string): EngineError => {
  try {
    withFile(text);
  } catch (error) {
    return error as EngineError;
  }
  throw new Error('it was taken');
};

describe('a pipeline file', () => {
  it('replaces what it names, and leaves the rest as configured', () => {
    const settings = withFile('metrics:\n  conversion_events: [b, c]\nwindows:\n  allowed_lateness_seconds: 0\n');
    expect(settings).toEqual({ ...configured, metrics: { conversion_events: ['b', 'c'] }, windows: { ...configured.windows, allowed_lateness_seconds: 0 } });
  });

  it('that holds nothing changes nothing', () => {
    expect(withFile('')).toEqual(configured);
    expect(withFile('windows:\n')).toEqual(configured);
  });

  it('is refused where it names what is no rule, misspells one, or has a value that cannot be', () => {
    const redis = refusalOf('redis:\n  url: redis://127.0.0.1\n');
    expect(redis.code).toBe('CONFIG_INVALID');
    expect(redis.message).toMatch(/redis: no such setting/);
    expect(redis.fix).toMatch(/windows, dedupe, metrics, apps, enrichment, cells/);
    expect(refusalOf('dedupe:\n  memory_bytes_max: 1\n').message).toMatch(/dedupe\.memory_bytes_max: no such setting/);
    expect(refusalOf('metrics:\n  conversion_event: [a]\n').message).toMatch(/or write metrics\.conversion_events/);
    expect(refusalOf('windows:\n  allowed_lateness_seconds: long\n').message).toMatch(/windows\.allowed_lateness_seconds: "long"/);
    expect(refusalOf('metrics: [').message).toMatch(/no valid YAML/);
  });
});

describe('a promotion', () => {
  const rules = (changes: object) => rulesOf({ ...configured, ...changes });
  const before = rules({});

  it('can change where and as what a record counts', () => {
    expect(unpromotable(before, rules({ metrics: { conversion_events: ['z'] }, windows: { ...configured.windows, allowed_lateness_seconds: 900 } }))).toEqual([]);
    expect(unpromotable(before, rules({ apps: { known: [], test: ['qa'], s2s_authoritative: ['shop'] }, enrichment: { ...configured.enrichment, user_agent: true } }))).toEqual([]);
  });

  it('cannot change which records are taken', () => {
    expect(unpromotable(before, rules({ apps: { known: ['shop'], test: [], s2s_authoritative: [] } }))).toEqual(['apps.known']);
    expect(unpromotable(before, rules({ dedupe: { ...configured.dedupe, mode: 'none', horizon_hours: 48 } }))).toEqual(['dedupe.mode', 'dedupe.horizon_hours']);
    expect(unpromotable(before, rules({ windows: { ...configured.windows, future_skew_seconds: 1 } }))).toEqual(['windows.future_skew_seconds']);
  });

  it('takes a rule that nobody has thought of for one that it cannot change', () => {
    expect(unpromotable(before, { ...before, newRule: 1 } as never)).toEqual(['newRule']);
    expect(unpromotable(before, { ...before, domain: { ...(before.domain as object), other: true } })).toEqual(['other']);
  });
});
