/** The soak itself, short: hours and a day pass, and everything must come out exact. Growth is not judged at this length. */

import { afterEach, expect, it } from 'vitest';
import { describeWithRedis } from '../../peers/redis.ts';
import { DEFAULTS } from '../../soak/plan.ts';
import { renderPage } from '../../soak/page.ts';
import { judge, printable } from '../../soak/report.ts';
import { soak, type SoakResult } from '../../soak/soak.ts';
import { TestDaemon, temporaryDirectory } from '../../support/daemon.ts';

const scratch = temporaryDirectory();
afterEach(async () => {
  await TestDaemon.endAll();
  scratch.remove();
});

describeWithRedis('a short soak', () => {
  it('changes the hour many times and the day once, and comes out exact', { timeout: 180_000 }, async () => {
    const options = { ...DEFAULTS, hours: 32 / 3_600, ratePerSecond: 2_000, speedup: 3_000, horizonHours: 2, recordsPerRequest: 20, sampleSeconds: 4 };
    const result: SoakResult = await soak({ options, dataDir: scratch.path, say: () => undefined });
    const report = judge(result);
    expect(result.faults).toEqual([]);
    expect(report.ok).toBe(true);
    expect(result.sent.fresh).toBeGreaterThan(10_000);
    expect(result.sent.repeats).toBeGreaterThan(500);
    expect(result.conservation.accepted + result.conservation.late).toBe(result.sent.fresh);
    expect(result.conservation.late).toBeGreaterThan(0);
    // The horizon passes many times: most identities are forgotten again.
    expect(result.samples.at(-1)?.values['dedupe entries']).toBeLessThan(result.sent.fresh / 2);
    expect(result.hoursCompared).toBeGreaterThan(20);
    expect(result.samples.length).toBeGreaterThanOrEqual(6);
    for (const name of ['memory (anonymous + shared)', 'open files', 'journal/', 'state/', 'dedupe entries', 'Redis keys']) expect(result.samples.at(-1)?.values[name], name).toBeGreaterThan(0);
    expect(Object.keys(result.samples.at(-1)?.stores ?? {}).length).toBeGreaterThan(32);
    expect(printable(report)).toContain('every total is exact');
    expect(renderPage(report, {})).toContain('new uPlot');
  });
});
