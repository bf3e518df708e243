import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import type { MergedCell } from '../../../engine/core/cell.ts';
import { liveSnapshot, queryMetrics } from '../../../sinks/live/index.ts';
import type { MetricsKind, MetricsOptions, RawParameters } from '../../../sinks/live/index.ts';
import { DAY_MS, DAY_START_MS, HOUR_MS, merged, name, openLive, output } from './helpers.ts';

type Row = Record<string, unknown>;
interface Answer {
  rows: Row[];
  as_of: string;
  watermark: string;
  next_cursor?: string;
}

const at = (hour: number): number => DAY_START_MS + hour * HOUR_MS;
const late = (change: Partial<MergedCell>): MergedCell => merged({ kind: CellKind.late, ...change });
const liveWith = async (cells: readonly MergedCell[], change = {}): Promise<ReturnType<typeof openLive>> => {
  const live = openLive();
  await live.apply(output(cells, { watermarkMs: at(3), ...change }), at(4));
  return live;
};
const text = async (live: ReturnType<typeof openLive>, kind: MetricsKind, raw: RawParameters, options: MetricsOptions = {}): Promise<string> => {
  const { body } = await queryMetrics(live, kind, raw, options);
  let all = '';
  for await (const chunk of body) all += String(chunk);
  return all;
};
const ask = async (live: ReturnType<typeof openLive>, raw: RawParameters = {}, kind: MetricsKind = 'hourly', options: MetricsOptions = {}): Promise<Answer> => JSON.parse(await text(live, kind, raw, options)) as Answer;

const many = (count: number): MergedCell[] => Array.from({ length: count }, (_, index) => merged({ dimensions: name(`c${index}`) }));

/** How often the event loop had its turn meanwhile. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const count = (): void => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  await work();
  clearImmediate(timer);
  return turns;
}

describe('hourly metrics', () => {
  it('shows a cell with all dimensions, labels, measures, exact money and finality', async () => {
    const live = await liveWith([merged({ windowStartMs: at(1), measures: [2, 13_610_000], breakdown: { b: 1, a: 2 }, revision: 7, final: true })], { finalUpToMs: at(2) });
    const answer = await ask(live);
    expect(answer).toEqual({
      rows: [
        {
          window_start: '2026-11-22T01:00:00.000Z',
          campaign_id: 'c1',
          app_id: 'app',
          country: 'DE',
          campaign: 'One',
          campaign_id_kind: 'id',
          installs: 2,
          revenue_micros: 13_610_000,
          revenue: '13.61',
          by_event: { a: 2, b: 1 },
          late_records: 0,
          revision: 7,
          final: true,
        },
      ],
      as_of: '2026-11-22T04:00:00.000Z',
      watermark: '2026-11-22T03:00:00.000Z',
    });
  });

  it('groups by any dimensions in the order asked for, with the labels of those alone', async () => {
    const live = await liveWith([
      merged({ dimensions: name('c1', 'DE'), measures: [1, 10], breakdown: { x: 1 }, revision: 2 }),
      merged({ dimensions: name('c1', 'FR'), measures: [2, -30], breakdown: { x: 2, y: 1 }, revision: 3, labels: [{ timeMs: 9, text: 'Newer' }] }),
      merged({ dimensions: name('c2', 'DE'), measures: [4, 0] }),
    ]);
    const byCampaign = await ask(live, { group_by: 'campaign_id' });
    expect(byCampaign.rows.map((row) => [row['campaign_id'], row['campaign'], row['installs'], row['revenue'], row['revision'], row['by_event']])).toEqual([
      ['c1', 'Newer', 3, '-0.00002', 5, { x: 3, y: 1 }],
      ['c2', 'One', 4, '0.00', 1, {}],
    ]);
    const byCountry = await ask(live, { group_by: ['country', 'app_id'] });
    expect(byCountry.rows.map((row) => Object.keys(row).slice(0, 4))).toEqual(Array.from({ length: 2 }, () => ['window_start', 'country', 'app_id', 'installs']));
    expect(byCountry.rows.map((row) => [row['country'], row['installs']])).toEqual([['DE', 5], ['FR', 2]]);
    expect((await ask(live, { group_by: 'none' })).rows.map((row) => row['installs'])).toEqual([7]);
  });

  it('takes windows from `from` on and before `to`, as ISO times or epoch milliseconds', async () => {
    const live = await liveWith([0, 1, 2].map((hour) => merged({ windowStartMs: at(hour) })));
    const hours = async (raw: RawParameters): Promise<number[]> => (await ask(live, raw)).rows.map((row) => (Date.parse(String(row['window_start'])) - DAY_START_MS) / HOUR_MS);
    expect(await hours({ from: '2026-11-22T01:00:00Z', to: '2026-11-22T02:00:00Z' })).toEqual([1]);
    expect(await hours({ from: String(at(1)), to: String(at(2) + 1) })).toEqual([1, 2]);
    expect(await hours({ from: '2026-11-22T02:00:00+01:00' })).toEqual([1, 2]);
    expect(await hours({ from: '2026-11-22T01:00' })).toEqual([1, 2]);
    expect(await hours({ from: '2026-11-22', to: '2026-11-22T00:30:00Z' })).toEqual([0]);
    expect(await hours({ from: '2026-11-23' })).toEqual([]);
  });

  it('filters by any dimension, by comma list, repetition and escaped comma', async () => {
    const live = await liveWith([
      merged({ dimensions: name('c1', 'DE') }),
      merged({ dimensions: name('c1', 'FR') }),
      merged({ dimensions: name('c2', 'US', 'other') }),
      merged({ dimensions: name('a,b', 'US') }),
    ]);
    const campaigns = async (raw: RawParameters): Promise<unknown[]> => (await ask(live, raw)).rows.map((row) => `${String(row['campaign_id'])}/${String(row['country'])}`);
    expect(await campaigns({ campaign_id: 'c1' })).toEqual(['c1/DE', 'c1/FR']);
    expect(await campaigns({ campaign_id: 'c1,c2', country: ['US', 'FR'] })).toEqual(['c1/FR', 'c2/US']);
    expect(await campaigns({ campaign_id: 'a\\,b' })).toEqual(['a,b/US']);
    expect(await campaigns({ app_id: 'other' })).toEqual(['c2/US']);
    expect(await campaigns({ country: 'XX' })).toEqual([]);
  });

  it('counts late records beside their hour, and in its sums only when asked', async () => {
    const live = await liveWith([
      merged({ measures: [5, 100], revision: 4 }),
      late({ measures: [2, 50], records: 3, revision: 6 }),
      late({ windowStartMs: at(1), dimensions: name('c9'), measures: [1, 7], records: 1 }),
    ]);
    const beside = await ask(live);
    expect(beside.rows.map((row) => [row['campaign_id'], row['installs'], row['revenue_micros'], row['late_records'], row['revision']])).toEqual([['c1', 5, 100, 3, 10], ['c9', 0, 0, 1, 1]]);
    const included = await ask(live, { late: 'include' });
    expect(included.rows.map((row) => [row['campaign_id'], row['installs'], row['revenue_micros'], row['late_records'], row['revision']])).toEqual([['c1', 7, 150, 3, 10], ['c9', 1, 7, 1, 1]]);
  });

  it('sums exactly beyond the safe integers', async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const live = await liveWith(['DE', 'FR', 'US'].map((country) => merged({ dimensions: name('c1', country), measures: [1, most] })));
    const body = await text(live, 'hourly', { group_by: 'campaign_id' });
    expect(body).toContain(`"revenue_micros":${BigInt(most) * 3n},"revenue":"27021597764.222973"`);
  });

  it('sorts by measures, money, dimensions and time, and breaks ties by time and dimensions', async () => {
    const live = await liveWith([
      merged({ dimensions: name('b'), measures: [1, 500] }),
      merged({ dimensions: name('a'), measures: [1, 900] }),
      merged({ dimensions: name('c'), measures: [3, -1] }),
      merged({ windowStartMs: at(1), dimensions: name('a'), measures: [1, 500] }),
    ]);
    const order = async (sort: string): Promise<string[]> => (await ask(live, { sort })).rows.map((row) => `${String(row['window_start']).slice(12, 13)}${String(row['campaign_id'])}`);
    expect(await order('window_start')).toEqual(['0a', '0b', '0c', '1a']);
    expect(await order('-window_start')).toEqual(['1a', '0a', '0b', '0c']);
    expect(await order('-revenue')).toEqual(['0a', '0b', '1a', '0c']);
    expect(await order('installs,-campaign_id')).toEqual(['0b', '0a', '1a', '0c']);
    expect(await order('-installs')).toEqual(['0c', '0a', '0b', '1a']);
  });

  it('pages through every order without a gap or a repeat, also while cells are added', async () => {
    const cells = Array.from({ length: 60 }, (_, index) => merged({ windowStartMs: at(index % 5), dimensions: name(`c${index % 12}`, `X${index}`), measures: [index % 4, (index * 37) % 11] }));
    const lateCells = cells.map((cell, index) => late({ ...cell, kind: CellKind.late, records: 1 + (index % 3), ...(index % 12 === 0 ? { dimensions: name('late') } : {}) })).filter((_, index) => index % 4 === 0);
    for (const sort of [undefined, '-window_start', '-revenue', 'installs,-country', 'late_records']) {
      const live = await liveWith([...cells, ...lateCells]);
      const whole = (await ask(live, sort === undefined ? {} : { sort })).rows;
      // A late cell without its hour cell is a row of its own.
      expect(whole).toHaveLength(65);
      const paged: Row[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < 100; page++) {
        const answer = await ask(live, { limit: '7', ...(sort === undefined ? {} : { sort }), ...(cursor === undefined ? {} : { cursor }) });
        paged.push(...answer.rows);
        cursor = answer.next_cursor;
        if (page === 1) await live.apply(output([merged({ windowStartMs: at(0), dimensions: name('aaa'), measures: [0, -1], kind: CellKind.day })]), 1);
        if (cursor === undefined) break;
      }
      expect(paged).toEqual(whole);
    }
  });

  it('goes on behind its cursor when rows before it appear', async () => {
    const live = await liveWith(['b', 'd', 'f'].map((campaign) => merged({ dimensions: name(campaign) })));
    const first = await ask(live, { limit: '2' });
    await live.apply(output([merged({ dimensions: name('a') }), merged({ dimensions: name('e') })]), 1);
    const second = await ask(live, { limit: '2', cursor: first.next_cursor });
    expect(second.rows.map((row) => row['campaign_id'])).toEqual(['e', 'f']);
    expect(second.next_cursor).toBeUndefined();
  });

  it('answers in CSV, with text that a spreadsheet would run made harmless', async () => {
    const live = await liveWith([merged({ dimensions: name('=cmd|x', 'D"E') , measures: [-1, -1_500_000], breakdown: { a: 1 } })]);
    const csv = await text(live, 'hourly', { format: 'csv' });
    expect(csv).toBe(
      'window_start,campaign_id,app_id,country,campaign,campaign_id_kind,installs,revenue_micros,revenue,by_event,late_records,revision,final\r\n' +
        `2026-11-22T00:00:00.000Z,'=cmd|x,app,"D""E",One,id,-1,-1500000,-1.50,"{""a"":1}",0,1,false\r\n`,
    );
    const { headers, contentType } = await queryMetrics(live, 'hourly', { format: 'csv' });
    expect(contentType).toContain('text/csv');
    expect(headers['x-watermark']).toBe('2026-11-22T03:00:00.000Z');
  });

  it('answers an empty store with no rows and no times', async () => {
    expect(await ask(openLive())).toEqual({ rows: [], as_of: null, watermark: null });
  });

  it('refuses every bad parameter by key, value and fix', async () => {
    const live = await liveWith([merged()]);
    const cases: [RawParameters, string][] = [
      [{ from: 'yesterday' }, 'from=yesterday: it is not a time'],
      [{ from: '1763780400' }, 'not seconds'],
      [{ from: '2026-13-01' }, 'from=2026-13-01'],
      [{ from: '2026-11-22', to: '2026-11-22' }, 'to=2026-11-22: it is not after from'],
      [{ to: ['1', '2'] }, 'given more than once'],
      [{ campain_id: 'c1' }, 'campain_id=c1: there is no such parameter'],
      [{ group_by: 'campaign_id,planet' }, 'group_by=planet'],
      [{ group_by: 'country,country' }, 'named twice'],
      [{ late: 'yes' }, 'late=yes'],
      [{ sort: '-profit' }, 'sort=profit: rows cannot be sorted by it'],
      [{ sort: 'country', group_by: 'campaign_id' }, 'sort=country'],
      [{ limit: '0' }, 'limit=0'],
      [{ limit: '10001' }, 'from 1 to 10000'],
      [{ limit: '1e3' }, 'limit=1e3'],
      [{ format: 'xml' }, 'format=xml'],
      [{ country: '' }, 'country=: it has an empty value'],
      [{ cursor: 'abc' }, 'it is no cursor'],
      [{ country: 'x'.repeat(5_000) }, 'country='],
      [JSON.parse('{"__proto__":"x"}') as RawParameters, '__proto__'],
    ];
    for (const [raw, expected] of cases) {
      await expect(queryMetrics(live, 'hourly', raw), JSON.stringify(raw)).rejects.toMatchObject({ code: 'QUERY_INVALID', message: expect.stringContaining(expected) as string });
    }
    const { next_cursor: cursor } = await ask(await liveWith([merged(), merged({ dimensions: name('c2') })]), { limit: '1' });
    await expect(queryMetrics(live, 'hourly', { cursor, country: 'DE' })).rejects.toThrow(/another query/);
    await expect(queryMetrics(live, 'hourly', { limit: '6' }, { rowsMax: 5 })).rejects.toThrow(/from 1 to 5/);
  });

  it('calls a row final only where the hour was final before its cells were read', async () => {
    const hour = (change: Partial<MergedCell>): MergedCell[] => Array.from({ length: 3_000 }, (_, index) => merged({ dimensions: name(`c${index}`), ...change }));
    const live = await liveWith(hour({ measures: [1, 0] }));
    const asked = ask(live, { group_by: 'none' });
    await new Promise((resolve) => setImmediate(resolve));
    await live.apply(output(hour({ measures: [2, 0], revision: 3, final: true }), { finalUpToMs: at(1) }), at(5));
    const [during] = (await asked).rows;
    expect(during?.['installs']).toBeLessThan(6_000);
    expect(during?.['final']).toBe(false);
    expect((await ask(live, { group_by: 'none' })).rows).toMatchObject([{ installs: 6_000, final: true }]);
  });

  it('lets the event loop run during a long scan', async () => {
    const live = await liveWith(many(20_000));
    expect(await turnsDuring(() => ask(live, { group_by: 'country' }))).toBeGreaterThanOrEqual(19);
  });
});

describe('daily metrics', () => {
  it('shows day cells, which have their late records in them, and how many those are', async () => {
    const live = await liveWith([
      merged({ kind: CellKind.day, measures: [9, 5], revision: 4 }),
      merged({ kind: CellKind.day, windowStartMs: DAY_START_MS + DAY_MS, measures: [1, 5] }),
      merged({ measures: [7, 5] }),
      late({ windowStartMs: at(3), records: 2, measures: [2, 0] }),
      late({ windowStartMs: at(23), records: 1 }),
      late({ windowStartMs: at(24), records: 50 }),
      late({ windowStartMs: at(-1), records: 90 }),
    ]);
    for (const raw of [{}, { late: 'include' }]) {
      const { rows } = await ask(live, raw, 'daily');
      expect(rows.map((row) => [row['window_start'], row['installs'], row['late_records'], row['revision'], row['final']])).toEqual([
        ['2026-11-22T00:00:00.000Z', 9, 3, 4, false],
        ['2026-11-23T00:00:00.000Z', 1, 50, 1, false],
      ]);
    }
  });
});

describe('a query over more cells than there may be groups', () => {
  const days = (count: number): MergedCell[] => many(count).map((cell, index) => ({ ...cell, kind: CellKind.day, measures: [index, 0] }));
  const lateOf = (campaigns: readonly string[]): MergedCell[] => campaigns.flatMap((campaign) => [1, 2].map((hour) => late({ windowStartMs: at(hour), dimensions: name(campaign), records: hour })));

  it('answers with the first rows where each row is one cell, whatever the order of dimensions', async () => {
    const live = await liveWith([...days(50), ...lateOf(['c49', 'c48', 'c5', 'elsewhere'])]);
    for (const raw of [{}, { group_by: 'country,campaign_id,app_id' }]) {
      const { rows, next_cursor: cursor } = await ask(live, { ...raw, sort: '-installs', limit: '2' }, 'daily', { groupsMax: 4 });
      expect(rows.map((row) => [row['campaign_id'], row['country'], row['app_id'], row['installs'], row['late_records']])).toEqual([['c49', 'DE', 'app', 49, 3], ['c48', 'DE', 'app', 48, 3]]);
      const last = await ask(live, { ...raw, sort: '-installs', cursor }, 'daily', { groupsMax: 4 });
      expect(last.rows).toHaveLength(49);
      expect(last.rows.filter((row) => row['late_records'] === 3).map((row) => [row['campaign_id'], row['installs']])).toEqual([['c5', 5], ['elsewhere', 0]]);
    }
  });

  it('is refused where their sums would not fit, and told what to narrow', async () => {
    const live = await liveWith([...days(50), ...lateOf(['a', 'b', 'c', 'd', 'e'])]);
    for (const [raw, value] of [[{ group_by: 'campaign_id,country' }, 'campaign_id,country'], [{}, 'campaign_id,app_id,country']] as const) {
      await expect(ask(live, raw, 'daily', { groupsMax: 4 })).rejects.toMatchObject({ code: 'QUERY_INVALID', message: expect.stringMatching(new RegExp(`^group_by=${value}: .*more than 4 rows.*fewer dimensions.*campaign_id=`)) as string });
    }
    expect((await ask(live, { group_by: 'country' }, 'daily', { groupsMax: 4 })).rows).toMatchObject([{ installs: 1_225, late_records: 15 }]);
    expect((await ask(live, { campaign_id: 'c7,a' }, 'daily', { groupsMax: 4 })).rows).toMatchObject([{ campaign_id: 'a', late_records: 3 }, { campaign_id: 'c7', installs: 7 }]);
  });
});

describe('live snapshot', () => {
  it('shows totals and the leading campaigns of the current hour, and is kept for a second', async () => {
    const live = openLive();
    expect(await liveSnapshot(live, 2)).toMatchObject({ window_start: null, campaigns: [] });
    await live.apply(output([merged({ dimensions: name('a'), measures: [1, 0] }), merged({ dimensions: name('b', 'DE'), measures: [2, 500_000] }), merged({ dimensions: name('b', 'FR'), measures: [2, 0] }), merged({ dimensions: name('c'), measures: [3, 0] }), merged({ windowStartMs: at(-1), measures: [99, 0] })]), at(0) + 10_000);
    const first = await liveSnapshot(live, 2);
    expect(first.window_start).toBe('2026-11-22T00:00:00.000Z');
    expect(first.totals).toMatchObject({ installs: 8, revenue: '0.50' });
    expect(first.campaigns).toMatchObject([{ campaign_id: 'b', campaign: 'One', installs: 4, revenue: '0.50' }, { campaign_id: 'c', installs: 3 }]);
    await live.apply(output([merged({ dimensions: name('a'), measures: [50, 0], revision: 2 })]), at(0) + 10_500);
    expect(await liveSnapshot(live, 2)).toBe(first);
    await live.apply(output([]), at(0) + 11_000);
    expect((await liveSnapshot(live, 2)).campaigns[0]).toMatchObject({ campaign_id: 'a', installs: 50 });
  });

  it('lets the event loop run while it is made, once for all who ask', async () => {
    const live = await liveWith(many(20_000));
    let asked: readonly Promise<object>[] = [];
    const turns = await turnsDuring(async () => {
      asked = [liveSnapshot(live, 2), liveSnapshot(live, 2)];
      await Promise.all(asked);
    });
    expect(turns).toBeGreaterThanOrEqual(19);
    expect(turns).toBeLessThan(30);
    expect(await asked[0]).toBe(await asked[1]);
  });

  it('is kept the longer the more cells it took', async () => {
    const live = await liveWith(many(100_000));
    const madeMs = live.asOfMs;
    const first = await liveSnapshot(live, 2);
    await live.apply(output([]), madeMs + 1_900);
    expect(await liveSnapshot(live, 2)).toBe(first);
    await live.apply(output([]), madeMs + 2_000);
    expect(await liveSnapshot(live, 2)).not.toBe(first);
  });

  it('shows the newest hour when the current one has no events', async () => {
    const live = openLive();
    await live.apply(output([merged({ windowStartMs: at(-5) })]), at(9));
    expect((await liveSnapshot(live, 2)).window_start).toBe('2026-11-21T19:00:00.000Z');
  });
});
