import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CostRow } from '../../../engine/core/costs.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { MS_PER_DAY } from '../../../engine/core/types.ts';
import { memoryStore, type MemoryStore } from '../../../engine/state/memory-store.ts';
import { CostStore, LIVE_TABLES, queryCosts, type CostOutcome, type CostReplace, type RawParameters } from '../../../sinks/live/index.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const row = (fields: Partial<CostRow> = {}): CostRow => ({ date: '2026-11-22', appId: 'com.example.shop', mediaSource: 'fb', campaignId: '77', country: 'FR', campaign: 'spring', currency: 'EUR', costMicros: 5_000_000, ...fields });
const opened = (store: MemoryStore = memoryStore(LIVE_TABLES), limits: { retentionDays?: number; rowsPerDateMax?: number } = {}): CostStore => CostStore.open({ store, retentionDays: 30, rowsPerDateMax: 1_000, ...limits });
const names = (rows: readonly CostRow[]): string[] => rows.map(({ date, campaignId, country, costMicros }) => `${date} ${campaignId} ${country} ${costMicros / 1e6}`);
const outcome = (inserted: number, changed: number, unchanged: number, removed: number): CostOutcome => ({ inserted, changed, unchanged, removed });

async function ask(costs: CostStore, raw: RawParameters = {}, nowMs = NOW): Promise<{ rows: Record<string, unknown>[]; next_cursor?: string }> {
  const { body } = await queryCosts(costs, raw, nowMs);
  return JSON.parse((await body.toArray()).join('')) as { rows: Record<string, unknown>[]; next_cursor?: string };
}

describe('spend', () => {
  it('replaces what was stated of the same name, and nothing else', async () => {
    const costs = opened();
    expect(await costs.put([row(), row({ country: 'DE' }), row({ country: '' })], 'name', NOW)).toEqual(outcome(3, 0, 0, 0));
    expect(await costs.put([row({ costMicros: 7_000_000 }), row({ country: 'DE' }), row({ campaignId: '78' })], 'name', NOW)).toEqual(outcome(1, 1, 1, 0));
    expect(names(costs.rowsOf('2026-11-22').rows)).toEqual(['2026-11-22 77  5', '2026-11-22 77 DE 5', '2026-11-22 77 FR 7', '2026-11-22 78 FR 5']);
    expect(costs.totals()).toEqual({ dates: 1, rows: 4 });
  });

  it('stated by day replaces all of its dates, apps and media sources, and leaves the others', async () => {
    const costs = opened();
    const others = [row({ mediaSource: 'fb2' }), row({ appId: 'com.example.shop2' }), row({ date: '2026-11-21' })];
    await costs.put([row(), row({ campaignId: '78' }), row({ campaignId: '79' }), ...others], 'name', NOW);
    expect(await costs.put([row({ campaignId: '78', costMicros: 1 }), row({ campaignId: '80' })], 'day', NOW)).toEqual(outcome(1, 1, 0, 2));
    expect(costs.rowsOf('2026-11-22').rows.filter(({ mediaSource, appId }) => mediaSource === 'fb' && appId === 'com.example.shop').map(({ campaignId }) => campaignId)).toEqual(['78', '80']);
    expect(costs.totals()).toEqual({ dates: 2, rows: 5 });
  });

  it('in another currency, or under another campaign name, is a change', async () => {
    const costs = opened();
    await costs.put([row()], 'name', NOW);
    expect(await costs.put([row({ currency: 'USD' })], 'name', NOW)).toEqual(outcome(0, 1, 0, 0));
    expect(await costs.put([row({ currency: 'USD', campaign: 'autumn' })], 'name', NOW)).toEqual(outcome(0, 1, 0, 0));
  });

  it('is numbered by date, each change with a number of its own, and told once it is durable', async () => {
    const costs = opened();
    const told: number[] = [];
    costs.onChange(() => told.push(costs.latest));
    await costs.put([row(), row({ date: '2026-11-20' })], 'name', NOW);
    await costs.put([row({ costMicros: 1 })], 'name', NOW);
    await costs.put([row({ costMicros: 1 })], 'name', NOW);
    await Promise.resolve();
    expect(costs.changedSince(0)).toEqual([{ date: '2026-11-20', revision: 2 }, { date: '2026-11-22', revision: 3 }]);
    expect(costs.changedSince(2)).toEqual([{ date: '2026-11-22', revision: 3 }]);
    expect(told).toEqual([2, 3]);
  });

  it('survives a restart and a power cut with what was answered, and goes on numbering', async () => {
    const store = memoryStore(LIVE_TABLES);
    const before = opened(store);
    await before.put([row(), row({ date: '2026-11-20' })], 'name', NOW);
    store.powerLoss();
    const after = opened(store.fork('flushed'));
    expect(names(after.rowsOf('2026-11-22').rows)).toEqual(['2026-11-22 77 FR 5']);
    // What was found is told once it is durable anew.
    expect(after.changedSince(0)).toEqual([]);
    await after.confirm();
    expect([after.latest, after.changedSince(0).length]).toEqual([2, 2]);
    await after.put([row({ costMicros: 1 })], 'name', NOW);
    expect(after.latest).toBe(3);
  });

  it('that a failed commit refused is not there, and that it landed is counted, told and kept when it is stated again', async () => {
    for (const how of ['refused', 'landed'] as const) {
      const store = memoryStore(LIVE_TABLES);
      const costs = opened(store);
      await costs.put([row({ campaignId: 'first' })], 'name', NOW);
      store.failNextCommit('STATE_WRITE_FAILED', how);
      await expect(costs.put([row(), row({ country: 'DE' })], 'name', NOW)).rejects.toBeInstanceOf(EngineError);
      expect(await costs.put([row(), row({ country: 'DE' })], 'name', NOW)).toEqual(how === 'refused' ? outcome(2, 0, 0, 0) : outcome(0, 0, 2, 0));
      expect(costs.totals()).toEqual({ dates: 1, rows: 3 });
      expect(costs.changedSince(1)).toHaveLength(1);
      store.powerLoss();
      expect(opened(store).totals()).toEqual({ dates: 1, rows: 3 });
    }
  });

  it('of a date that is full is refused whole, and a restatement of it is not', async () => {
    const costs = opened(undefined, { rowsPerDateMax: 2 });
    await costs.put([row({ campaignId: 'a' }), row({ campaignId: 'b' })], 'name', NOW);
    expect(await costs.put([row({ date: '2026-11-21' }), row({ campaignId: 'c' })], 'name', NOW)).toEqual({ full: '2026-11-22' });
    expect(costs.totals()).toEqual({ dates: 1, rows: 2 });
    expect(await costs.put([row({ campaignId: 'a', costMicros: 1 }), row({ campaignId: 'c' })], 'day', NOW)).toEqual(outcome(1, 1, 0, 1));
  });

  it('past its retention is invisible at once and leaves with later reports', async () => {
    const costs = opened();
    await costs.put([row(), row({ date: '2026-11-01' })], 'name', NOW);
    const later = NOW + 25 * MS_PER_DAY;
    expect((await ask(costs, {}, later)).rows.map(({ date }) => date)).toEqual(['2026-11-22']);
    await costs.put([row({ date: '2026-12-10' })], 'name', later);
    expect(costs.totals()).toEqual({ dates: 2, rows: 2 });
  });

  it('of reports that come at once is that of the last one', async () => {
    const costs = opened();
    await Promise.all(Array.from({ length: 20 }, (_, at) => costs.put([row({ costMicros: at }), row({ campaignId: `c${at}` })], 'day', NOW)));
    expect(names(costs.rowsOf('2026-11-22').rows)).toEqual(['2026-11-22 77 FR 0.000019', '2026-11-22 c19 FR 5']);
    expect(costs.totals()).toEqual({ dates: 1, rows: 2 });
  });

  it('is what a plain map would hold, through restarts', async () => {
    const anyRow = fc.record({ date: fc.constantFrom('2026-11-20', '2026-11-21'), mediaSource: fc.constantFrom('a', 'a\u007f', 'ab'), campaignId: fc.constantFrom('1', '2', '3'), country: fc.constantFrom('', 'DE'), costMicros: fc.integer({ min: 0, max: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.array(anyRow, { minLength: 1, maxLength: 6 }), fc.constantFrom<CostReplace>('name', 'day'), fc.boolean()), { maxLength: 12 }), async (reports) => {
        const store = memoryStore(LIVE_TABLES);
        let costs = opened(store);
        const model = new Map<string, CostRow>();
        const nameOf = (each: CostRow): string => JSON.stringify([each.date, each.mediaSource, each.campaignId, each.country]);
        for (const [parts, replace, restart] of reports) {
          const rows = [...new Map(parts.map((part) => row(part)).map((each) => [nameOf(each), each])).values()];
          await costs.put(rows, replace, NOW);
          if (replace === 'day') for (const [name, each] of model) if (rows.some(({ date, mediaSource }) => date === each.date && mediaSource === each.mediaSource)) model.delete(name);
          for (const each of rows) model.set(nameOf(each), each);
          if (restart) costs = opened(store);
        }
        const found = ['2026-11-20', '2026-11-21'].flatMap((date) => costs.rowsOf(date).rows.map(({ date: on, mediaSource, campaignId, country, costMicros }) => row({ date: on, mediaSource, campaignId, country, costMicros })));
        expect(new Map(found.map((each) => [nameOf(each), each]))).toEqual(model);
        expect(costs.totals().rows).toBe(model.size);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the question for spend', () => {
  const filled = async (): Promise<CostStore> => {
    const costs = opened();
    await costs.put([row(), row({ country: '', campaignId: '=1+1', campaign: 'a,"b"' }), row({ date: '2026-11-21', currency: 'USD', costMicros: -1 }), row({ appId: 'id1', mediaSource: 'google' })], 'name', NOW);
    return costs;
  };

  it('is answered by date and name, with amounts as micros and as decimals', async () => {
    const { rows, next_cursor: cursor } = await ask(await filled());
    expect(cursor).toBeUndefined();
    expect(rows.map(({ date, campaign_id: campaign, country }) => [date, campaign, country])).toEqual([['2026-11-21', '77', 'FR'], ['2026-11-22', '77', 'FR'], ['2026-11-22', '=1+1', null], ['2026-11-22', '77', 'FR']]);
    expect(rows[0]).toEqual({ date: '2026-11-21', app_id: 'com.example.shop', media_source: 'fb', campaign_id: '77', campaign: 'spring', country: 'FR', currency: 'USD', cost_micros: -1, cost: '-0.000001', updated_at: new Date(NOW).toISOString() });
  });

  it('takes a range of dates, filters and pages', async () => {
    const costs = await filled();
    const count = async (raw: RawParameters): Promise<number> => (await ask(costs, raw)).rows.length;
    expect([await count({ from: '2026-11-22' }), await count({ to: '2026-11-22' }), await count({ from: '2026-11-21', to: '2026-11-22' })]).toEqual([3, 1, 1]);
    expect([await count({ app_id: 'id1' }), await count({ app_id: ['id1', 'com.example.shop'] }), await count({ country: '' }), await count({ currency: 'USD,GBP' }), await count({ media_source: 'google', country: 'DE' })]).toEqual([1, 4, 1, 1, 0]);
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await ask(costs, { limit: '1', ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.rows.map(({ date, campaign_id: campaign }) => [date, campaign]));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual([['2026-11-21', '77'], ['2026-11-22', '77'], ['2026-11-22', '=1+1'], ['2026-11-22', '77']]);
  });

  it('is answered as CSV, in which no name is a formula', async () => {
    const { body, contentType } = await queryCosts(await filled(), { format: 'csv', country: '' }, NOW);
    expect(contentType).toContain('text/csv');
    expect((await body.toArray()).join('')).toBe(`date,app_id,media_source,campaign_id,campaign,country,currency,cost_micros,cost,updated_at\r\n2026-11-22,com.example.shop,fb,'=1+1,"a,""b""",,EUR,5000000,5.00,${new Date(NOW).toISOString()}\r\n`);
  });

  it.each<[RawParameters, string]>([
    [{ from: '2026-13-01' }, 'from=2026-13-01'],
    [{ from: '2026-11-22T00:00Z' }, 'from='],
    [{ from: '2026-11-22', to: '2026-11-22' }, 'to=2026-11-22'],
    [{ limit: '0' }, 'limit=0'],
    [{ limit: '10001' }, 'limit=10001'],
    [{ cursor: '' }, 'cursor='],
    [{ cursor: '!' }, 'cursor=!'],
    [{ campaign: '77' }, 'campaign=77'],
    [{ from: ['2026-11-22', '2026-11-23'] }, 'more than once'],
    [{ format: 'xml' }, 'format=xml'],
  ])('with %j is refused by name', async (raw, text) => {
    await expect(queryCosts(await filled(), raw, NOW)).rejects.toThrow(text);
  });
});
