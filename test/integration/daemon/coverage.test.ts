/** `millrace coverage` on the built daemon: what its last messages lacked. */

import { describe, expect, it } from 'vitest';
import { message, runCli } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

describe('coverage', () => {
  it('tells the fields that an app never sends and the figures that suffer, as text and as JSON', async () => {
    const daemon = await started({ dataDir: scratch.path });
    const lines = Array.from({ length: 60 }, (_, at) => JSON.stringify(message({ appsflyer_id: `1718000000123-${at}`, is_primary_attribution: undefined, country_code: '', event_revenue: '1', event_revenue_currency: 'EUR', event_revenue_usd: '1.1' })));
    lines.push(JSON.stringify(message({ app_id: 'com.example.other', appsflyer_id: undefined })), 'no json');
    expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    await daemon.settled(62);
    const text = await runCli(['coverage', '--admin', daemon.admin]);
    expect([text.code, text.stderr]).toEqual([0, '']);
    expect(text.stdout).toContain('the last 62 records, of which 1 are no JSON');
    expect(text.stdout).toMatch(/com\.example\.shop: 60 records\n {2}is_primary_attribution is in none of 60: .*\n {4}figures: installs, .*\n {2}country_code is in none of 60/);
    expect(text.stdout).toMatch(/com\.example\.other: 1 records; too few to be sure\n {2}1 have no user or device id: they are rejected/);
    const json = await runCli(['coverage', '--admin', daemon.admin, '--app', 'com.example.shop', '--records', '50', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ sampled: 50, apps: [{ app_id: 'com.example.shop', missing: [{ field: 'is_primary_attribution', seen: 0 }, { field: 'country_code' }] }] });
    expect((await fetch(`${daemon.admin}/v1/coverage?records=0`)).status).toBe(400);
    expect(await daemon.stop()).toBe(0);
  });
});
