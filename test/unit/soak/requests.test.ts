/** What a soak sends must count as its ledger says: told here by the independent model. */

import { describe, expect, it } from 'vitest';
import { Model } from '../../model/model.ts';
import { Ledger, difference } from '../../soak/ledger.ts';
import { RequestMaker } from '../../soak/requests.ts';
import { makeTemplates } from '../../soak/templates.ts';

const START_MS = Date.UTC(2026, 10, 22);
const RECORDS = 10;
const REQUEST_MS = 20_000;

function sent(count: number, recordBytes = 0): { readonly model: Model; readonly ledger: Ledger; readonly sizes: number[] } {
  const templates = makeTemplates({ seed: 3, recordBytes });
  const ledger = new Ledger(templates);
  const maker = new RequestMaker({ templates, recordsPerRequest: RECORDS, horizonMs: 6 * 3_600_000, requestsRemembered: 2_000 });
  const model = new Model();
  const body = maker.newBody();
  const sizes: number[] = [];
  for (let index = 0; index < count; index++) {
    const request = maker.make(index, START_MS + index * REQUEST_MS, body);
    for (const line of body.toString('utf8', 0, request.length).trimEnd().split('\n')) {
      sizes.push(Buffer.byteLength(line));
      model.deliver({ body: line, method: 'POST', receivedAtMs: request.madeAtMs });
    }
    maker.acknowledged(request, ledger);
  }
  return { model, ledger, sizes };
}

describe('the requests of a soak', () => {
  it('count in each hour, by campaign and country, as the independent model says; repeats and damaged records do not', () => {
    const { model, ledger } = sent(1_200);
    const summary = model.summarise();
    expect({ received: summary.received, counted: summary.counted, duplicate: summary.duplicate, rejected: summary.rejected }).toEqual({ received: 12_000, counted: ledger.fresh, duplicate: ledger.repeats, rejected: ledger.damaged });
    expect(ledger.repeats).toBe(1_600);
    expect(ledger.damaged).toBe(120);
    const hours = ledger.hoursEndedBy(Infinity);
    expect(hours.length).toBeGreaterThan(6);
    const measures = Object.keys(summary.totals);
    for (const hourMs of hours) {
      const rows = summary.byHourCampaignCountry.filter((row) => row.windowStart === new Date(hourMs).toISOString()).map((row) => ({ ...row.dimensions, ...row.measures, by_event: row.byEvent }));
      expect(difference(rows as unknown as Record<string, unknown>[], ledger.expected(hourMs), measures)).toBeNull();
    }
    expect(hours.length).toBe(new Set(summary.byHourCampaignCountry.map((row) => row.windowStart)).size);
  });

  it('have records of at least the size asked for', () => {
    expect(Math.min(...sent(20, 3_000).sizes)).toBe(3_000);
  });
});

describe('the comparison with an answer', () => {
  it('sees a missing row, a row too many, and a figure that is off by one', () => {
    const expected = new Map([['a|FR', new Map([['installs', 2]])]]);
    const row = { campaign_id: 'a', country: 'FR', installs: 2, events: 0, by_event: {} };
    expect(difference([row], expected, ['installs', 'events'])).toBeNull();
    expect(difference([], expected, ['installs'])).toContain('no row');
    expect(difference([row, { ...row, campaign_id: 'b' }], expected, ['installs'])).toContain('b|FR');
    expect(difference([{ ...row, installs: 3 }], expected, ['installs', 'events'])).toContain('installs is 3');
    expect(difference([{ ...row, events: 1 }], expected, ['installs', 'events'])).toContain('events is 1');
    expect(difference([{ ...row, by_event: { af_purchase: 1 } }], expected, ['installs', 'events'])).toContain('af_purchase');
  });
});
