/** The door's byte search against a full parse, by the fuzz target's own comparison: awkward bodies, bytes spoilt one by one, objects built around the keys. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { AWKWARD, mutate, Random, realistic } from './json-bytes.ts';
import { partitionTarget } from './targets/door.ts';

const spec = appsflyerPipeline.partitionKey;
const { check } = partitionTarget();

describe('byte search and full parse name the same partition', () => {
  it('for awkward bodies', () => {
    for (const body of AWKWARD) void check(Buffer.from(body));
  });

  it('for mutated messages', () => {
    const seed = Number(process.env.FUZZ_SEED ?? 20_260_503);
    const random = new Random(seed);
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000);
    let compared = 0;
    for (; performance.now() < end; compared++) void check(mutate(random, realistic(random)));
    expect(compared).toBeGreaterThan(1_000);
  });

  it('for any JSON object built around its keys', () => {
    const key = fc.oneof(fc.constantFrom(spec.scope, ...spec.users, `x${spec.scope}`, '__proto__', ''), fc.string({ unit: 'binary', maxLength: 8 }));
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom<unknown>('', 'null', '0-0', 'u-1', '{"app_id":"x"}', null, true, 12, 1e21, -0, { app_id: 'x' }, [{ appsflyer_id: 'y' }], {}, []),
      fc.json(),
    );
    const members = fc.array(fc.tuple(key, value, fc.constantFrom('', ' ', '\n\t'), fc.boolean()), { maxLength: 8 });
    fc.assert(
      fc.property(members, (list) => {
        const text = list.map(([name, held, space, escaped]) => `${space}${spell(name, escaped)}${space}:${space}${JSON.stringify(held)}${space}`).join(',');
        void check(Buffer.from(`{${text}}`));
      }),
      { numRuns: 3_000, seed: 11 },
    );
  });
});

/** A key as JSON, when asked with its first character as an escape. */
const spell = (name: string, escaped: boolean): string => {
  const text = JSON.stringify(name);
  return escaped && /^[a-z]/.test(name) ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${text.slice(2)}` : text;
};
