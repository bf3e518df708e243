/**
 * Every fuzz target for a bounded time: the corpus first, then made inputs, with a fixed seed and with a fresh one. Says how many cases ran.
 *
 * `FUZZ_MS`: time for each of the two parts of a target; `FUZZ_SEED`: the seed in place of the fresh one. Longer runs: `npm run fuzz`.
 */

import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { describeFailure, runTarget } from './target.ts';
import { TARGETS } from './targets.ts';
import { decodeTarget } from './targets/event.ts';

const PART_MS = Number(process.env['FUZZ_MS'] ?? 700);
const FIXED_SEED = 20_261_128;
const freshSeed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));

describe('no fuzz target finds anything', () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))('%s', async (_, target) => {
    for (const seed of [FIXED_SEED, freshSeed]) {
      const { cases, failure } = await runTarget(target, { seed, ms: PART_MS });
      process.stdout.write(`fuzz ${target.name}: ${cases} cases from seed ${seed}\n`);
      expect(failure === null ? '' : describeFailure(target, failure)).toBe('');
      expect(cases).toBeGreaterThan(10);
    }
  });

  it('and the decoder is tried where it matters: it is sure of many messages, and not of all', async () => {
    const tally = { sure: 0, valid: 0 };
    await runTarget(decodeTarget(undefined, tally), { seed: FIXED_SEED, cases: 2_000 });
    expect(tally.valid).toBeGreaterThan(400);
    expect(tally.sure).toBeGreaterThan(tally.valid / 10);
    expect(tally.sure).toBeLessThan(tally.valid);
  });
});
