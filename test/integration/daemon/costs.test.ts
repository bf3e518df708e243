/** Spend put at the door: answered, read back by query and from the lake, and refused whole where a row is bad. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useDaemons } from './harness.ts';
import { costsOf, day, lakeCosts, line, put, QUICK_LAKE } from './spend.ts';

const { scratch, started } = useDaemons();

describe('spend', () => {
  it('put at the door is answered, asked for, restated and written to the lake, one object a date', async () => {
    const daemon = await started({ dataDir: scratch.path, env: QUICK_LAKE });
    const first = await put(daemon, [line({ country: 'fr', campaign: 'spring' }), line({ country: 'DE', cost: '0.000001' }), line({ date: day(2), cost: '-3' })]);
    expect([first.status, await first.json()]).toEqual([200, { received: 3, accepted: 3, rows: 3, inserted: 3, changed: 0, unchanged: 0, removed: 0, rejected: [], rejected_count: 0 }]);
    expect([...(await costsOf(daemon))]).toEqual([[`${day(2)} 77 `, '-3.00'], [`${day(1)} 77 DE`, '0.000001'], [`${day(1)} 77 FR`, '12.50']]);
    const lake = join(scratch.path, 'lake');
    await daemon.until(async () => (await lakeCosts(lake)).length === 3, 20_000, 'three rows in the lake');
    expect(await lakeCosts(lake)).toEqual([
      { event_date: day(2), date: day(2), app_id: 'com.example.shop', media_source: 'googleadwords_int', campaign_id: '77', campaign: '', country: null, currency: 'EUR', micros: '-3000000', cost: '-3.000000', type: 'DECIMAL(18,6)' },
      { event_date: day(1), date: day(1), app_id: 'com.example.shop', media_source: 'googleadwords_int', campaign_id: '77', campaign: '', country: 'DE', currency: 'EUR', micros: '1', cost: '0.000001', type: 'DECIMAL(18,6)' },
      { event_date: day(1), date: day(1), app_id: 'com.example.shop', media_source: 'googleadwords_int', campaign_id: '77', campaign: 'spring', country: 'FR', currency: 'EUR', micros: '12500000', cost: '12.500000', type: 'DECIMAL(18,6)' },
    ]);
    expect(readdirSync(join(lake, 'costs', `event_date=${day(1)}`))).toEqual(['costs.parquet']);
    // A restated day loses what it no longer has, in the lake too.
    expect(await (await put(daemon, [line({ country: 'US', cost: '1' })], '?replace=day')).json()).toMatchObject({ inserted: 1, removed: 2 });
    await daemon.until(async () => (await lakeCosts(lake)).map(({ country }) => String(country)).join() === 'null,US', 20_000, 'the restated day in the lake');
    expect(await daemon.pipeline()).toMatchObject({ sinks: expect.arrayContaining([expect.objectContaining({ name: 'lake-costs', healthy: true })]) as unknown, conservation: { received: 0 } });
    expect(await daemon.stop()).toBe(0);
  });

  it('with one bad row is refused whole, with the index and code of each', async () => {
    const daemon = await started({ dataDir: scratch.path });
    const answer = await put(daemon, [line(), line({ cost: 'much' }), line({ currency: '' })]);
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { code: 'ROWS_REJECTED' }, received: 3, accepted: 0, rejected: [{ index: 1, code: 'BAD_COST' }, { index: 2, code: 'NO_CURRENCY' }], rejected_count: 2 }]);
    const parameter = await put(daemon, [line()], '?replace=week');
    expect([parameter.status, await parameter.json()]).toMatchObject([400, { error: { code: 'BAD_PARAMETER' } }]);
    expect((await costsOf(daemon)).size).toBe(0);
    const csv = await fetch(`${daemon.ingest}/v1/costs?app_id=id1&currency=USD`, { method: 'PUT', headers: { 'content-type': 'text/csv' }, body: `Date,Agency/PMD (af_prt),Media Source (pid),Campaign (c),Total Cost\n${day(1)},A,fb,spring,1.5\n${day(1)},B,fb,spring,2\n` });
    expect(await csv.json()).toMatchObject({ received: 2, rows: 1, inserted: 1 });
    expect([...(await costsOf(daemon))]).toEqual([[`${day(1)} spring `, '3.50']]);
    // Its own CSV is a report that can be sent again.
    const exported = await (await fetch(`${daemon.admin}/v1/costs?format=csv`)).text();
    expect(await (await fetch(`${daemon.ingest}/v1/costs`, { method: 'PUT', headers: { 'content-type': 'text/csv' }, body: exported })).json()).toMatchObject({ unchanged: 1 });
    expect(await (await fetch(`${daemon.admin}/openapi.json`)).text()).toContain('/v1/costs');
    expect(await daemon.stop()).toBe(0);
  });
});
