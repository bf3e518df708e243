import { describe, expect, it } from 'vitest';
import { PLANTS } from './plants.ts';
import { simulate } from './simulation.ts';

const SEEDS = 60;

describe('the simulated daemon', () => {
  it(`keeps every invariant through crashes, power cuts, dead threads, failing disks and sinks (seeds 1 to ${SEEDS})`, { timeout: 120_000 }, async () => {
    const sums = { lives: 0, threadDeaths: 0, powerCuts: 0, failedCommits: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = await simulate({ seed }).catch((error: unknown) => {
        throw new Error(`npm run simulate -- --seeds 1 --from ${seed}`, { cause: error });
      });
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += report[name];
    }
    // A simulation in which nothing goes wrong would pass as well.
    for (const sum of Object.values(sums)) expect(sum).toBeGreaterThan(SEEDS / 4);
  });

  it('tells the same story for the same seed', async () => {
    expect(await simulate({ seed: 7 })).toEqual(await simulate({ seed: 7 }));
  });

  it.each(Object.keys(PLANTS))('finds the planted bug %s', { timeout: 60_000 }, async (plant) => {
    let found: unknown = null;
    for (let seed = 1; seed <= 20 && found === null; seed++) found = await simulate({ seed, plant }).then(() => null, (error: unknown) => error);
    expect(found).toBeInstanceOf(Error);
  });
});
