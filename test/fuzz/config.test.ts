/** Hostile configuration: whatever stands in file and environment, loading ends in settings or in one CONFIG_INVALID that names each key. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig, settingPaths } from '../../engine/runtime/config.ts';
import { settingsSchema } from '../../engine/settings.ts';
import { settingsOrRefusal, URL_WITH_SECRET } from './targets/configuration.ts';

const RUNS = 400;
const paths = settingPaths(settingsSchema);

const value = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.integer().map(String),
  fc.double().map(String),
  fc.constantFrom('', '0', '-1', '1e9', '0x10', 'true', 'null', '~', '[]', '{}', '[1,2', '&a *a', '!!js/function x', '"', '\u0000', '2026-11-22', 'a,b', 'a=1,b=2', '99999999999999999999', ' 5 ', URL_WITH_SECRET),
);
const line = fc.record({ path: fc.constantFrom(...paths), value, key: fc.oneof({ weight: 5, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.string({ maxLength: 20 }) }) });

const yamlOf = (lines: readonly { path: { path: readonly string[] }; value: string; key: string }[]): string =>
  lines.map(({ path: { path }, value: text, key }) => path.map((part, depth) => `${'  '.repeat(depth)}${depth === path.length - 1 && key !== '' ? key : part}:`).join('\n') + ` ${text}`).join('\n');

describe('configuration from a file and the environment', () => {
  it('is taken or refused by name, whatever it is, and shows no secret', () => {
    const seen = { settings: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.array(line, { maxLength: 4 }), fc.option(fc.string({ maxLength: 200 })), (lines, variables, raw) => {
        const env = Object.fromEntries(variables.map(({ path: { variable }, value: text }) => [variable, text]));
        seen[settingsOrRefusal(raw ?? yamlOf(lines), env)]++;
      }),
      { numRuns: RUNS },
    );
    expect(seen.settings).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(0);
  });

  it('names variable and value of each number that is none', () => {
    fc.assert(
      fc.property(fc.constantFrom('MILLRACE_INGEST_PORT', 'MILLRACE_PARTITIONS', 'MILLRACE_LAKE_SLOT_MINUTES'), fc.string({ minLength: 1, maxLength: 20 }).filter((text) => text.trim() !== '' && !/^\s*\d+\s*$/.test(text) && !/[@?]/.test(text)), (variable, text) => {
        expect(() => parseConfig(settingsSchema, { file: null, text: '', env: { [variable]: text } })).toThrow(new RegExp(variable));
      }),
      { numRuns: RUNS / 4 },
    );
  });
});
