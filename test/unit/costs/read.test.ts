import { describe, expect, it } from 'vitest';
import { CostReportError, judgeCostRecords, readCosts, type CostFormat, type ReadCostsOptions } from '../../../actors/costs/index.ts';
import { readDate } from '../../../actors/costs/judge.ts';

const OPTIONS: ReadCostsOptions = { dates: { first: '2024-11-20', last: '2026-11-30' }, defaults: { appId: null, currency: null }, moreDecimals: 'refuse', linesMax: 100, pause: () => Promise.resolve() };
const read = (text: string, format: CostFormat = 'json', change: Partial<ReadCostsOptions> = {}) => readCosts(Buffer.from(text), format, { ...OPTIONS, ...change });
const line = (fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({ date: '2026-11-22', app_id: 'com.example.shop', media_source: 'googleadwords_int', campaign_id: '77', currency: 'EUR', cost: '12.5', ...fields });
const codes = async (lines: readonly unknown[]): Promise<string[]> => (await read(JSON.stringify(lines))).rejected.map(({ code }) => code);
const codeOf = async (reading: Promise<unknown>): Promise<unknown> => reading.then(() => null, (error: unknown) => (error instanceof CostReportError ? error.code : error));

describe('a report of spend', () => {
  it('is the same as an array, as one object, as lines and as CSV', async () => {
    const row = { date: '2026-11-22', appId: 'com.example.shop', mediaSource: 'googleadwords_int', campaignId: '77', country: 'FR', campaign: 'spring, "fr"', currency: 'EUR', costMicros: 12_500_000 };
    const json = JSON.stringify(line({ campaign: 'spring, "fr"', country: 'fr' }));
    const csv = '\ufeffdate,app_id,media_source,campaign_id,campaign,country,currency,cost\r\n2026-11-22,com.example.shop,googleadwords_int,77,"spring, ""fr""",fr,EUR,12.5\r\n\r\n';
    for (const [text, format] of [[`[${json}]`, 'json'], [json, 'json'], [`${json}\n\n`, 'lines'], [csv, 'csv']] as const) {
      expect(await read(text, format)).toEqual({ received: 1, rows: [row], rejected: [] });
    }
  });

  it('knows the columns of Cost ETL, of Cost Import and of aggregate reports', async () => {
    const etl = 'date,app_id,media_source,campaign,campaign_id,adset,geo,currency,cost,impressions\n2026-11-22,id1,fb,spring,77,a,US,USD,1.5,9\n2026-11-22,id1,fb,spring,77,b,US,USD,2.25,9\n';
    expect((await read(etl, 'csv')).rows).toMatchObject([{ appId: 'id1', campaignId: '77', country: 'US', costMicros: 3_750_000 }]);
    const cost = 'date,app-id,media-source,campaign,spend,geo,currency,campaign-id\n11/22/2026,id1,network_x_int,campaign_a,2874.12345,US,GBP,abc\n';
    expect((await read(cost, 'csv')).rows).toMatchObject([{ date: '2026-11-22', mediaSource: 'network_x_int', campaign: 'campaign_a', campaignId: 'abc', costMicros: 2_874_123_450 }]);
    const aggregate = 'Date,Agency/PMD (af_prt),Media Source (pid),Campaign (c),Installs,Total Cost,Average eCPI\n2026-11-22,A,fb,spring,3,10,1\n2026-11-22,B,fb,spring,3,20,1\n';
    expect((await read(aggregate, 'csv', { defaults: { appId: 'id1', currency: 'USD' } })).rows).toMatchObject([{ appId: 'id1', currency: 'USD', campaignId: 'spring', costMicros: 30_000_000 }]);
  });

  it('never takes the cost that attribution links carried', async () => {
    expect(await codes([line({ cost: undefined, af_cost_value: '5', cost_in_selected_currency: '5' })])).toEqual(['NO_COST']);
    expect(await codeOf(read('date,app_id,media_source,Cost Value,Cost Currency\n2026-11-22,id1,fb,5,USD\n', 'csv'))).toBe('NO_COLUMN');
  });

  it('names spend as cells are named', async () => {
    const names = async (fields: Readonly<Record<string, unknown>>): Promise<string[]> => (await read(JSON.stringify([line(fields)]))).rows.map(({ mediaSource, campaignId, country }) => `${mediaSource} ${campaignId} ${country}`);
    expect(await names({ media_source: 'Organic', country: 'de' })).toEqual(['organic 77 DE']);
    expect(await names({ campaign_id: 'N/A', campaign: 'spring' })).toEqual(['googleadwords_int spring ']);
    expect(await names({ campaign_id: null, country: 'NULL' })).toEqual(['googleadwords_int none ']);
    expect(await names({ campaign_id: 21_421_952_087 })).toEqual(['googleadwords_int 21421952087 ']);
  });

  it('tells every bad line with its code, and goes on', async () => {
    const bad: readonly (readonly [object | number | null, string])[] = [
      [7, 'NOT_OBJECT'],
      [null, 'NOT_OBJECT'],
      [line({ date: '' }), 'NO_DATE'],
      [line({ date: '2026-02-30' }), 'BAD_DATE'],
      [line({ date: '2026-12-01' }), 'DATE_OUT_OF_RANGE'],
      [line({ date: '2024-11-19' }), 'DATE_OUT_OF_RANGE'],
      [line({ app_id: undefined }), 'NO_APP_ID'],
      [line({ media_source: ' ' }), 'NO_MEDIA_SOURCE'],
      [line({ country: 'FRA' }), 'BAD_COUNTRY'],
      [line({ currency: null }), 'NO_CURRENCY'],
      [line({ currency: 'EURO' }), 'BAD_CURRENCY'],
      [line({ cost: '' }), 'NO_COST'],
      [line({ cost: '1.0000001' }), 'BAD_COST'],
      // 18 digits as a number are other digits by now.
      [line({ campaign_id: 123_456_789_012_345_680 }), 'BAD_VALUE'],
      [line({ app_id: true }), 'BAD_VALUE'],
    ];
    const report = await read(JSON.stringify([line(), ...bad.map(([each]) => each), line({ campaign_id: 'last' })]));
    expect(report.rejected).toEqual(bad.map(([, code], index) => ({ index: index + 1, code })));
    expect([report.received, report.rows.length]).toEqual([bad.length + 2, 2]);
    expect((await read(`${JSON.stringify(line())}\nnope\n`, 'lines')).rejected).toEqual([{ index: 1, code: 'NOT_JSON' }]);
    expect((await read('date,app_id,media_source,currency,cost\n2026-11-22,id1,fb,EUR\n2026-11-22,id1,fb,EUR,1\n', 'csv')).rejected).toEqual([{ index: 0, code: 'BAD_COLUMNS' }]);
  });

  it('adds up what is finer than a row, and takes what is said twice as it was said last', async () => {
    const total = async (lines: readonly object[]): Promise<unknown> => {
      const { rows, rejected } = await read(JSON.stringify(lines));
      return rejected.length > 0 ? rejected : rows.map(({ costMicros }) => costMicros / 1e6);
    };
    expect(await total([line({ adset: 'a', cost: '1' }), line({ adset: 'b', cost: '2' }), line({ adset: 'a', cost: '5' })])).toEqual([7]);
    expect(await total([line({ cost: '1' }), line({ cost: '2' })])).toEqual([2]);
    expect(await total([line({ cost: '1' }), line({ cost: '2', currency: 'USD' })])).toEqual([2]);
    expect(await total([line({ adset: 'a' }), line({ adset: 'b', currency: 'USD' })])).toEqual([{ index: 1, code: 'MIXED_CURRENCY' }]);
    expect(await total([line({ adset: 'a', cost: '9000000000' }), line({ adset: 'b', cost: '9000000000' })])).toEqual([{ index: 1, code: 'BAD_COST' }]);
    expect(await total([line({ country: 'FR' }), line({ country: 'DE' }), line()])).toEqual([12.5, 12.5, 12.5]);
  });

  it('is refused whole when it cannot be read at all', async () => {
    expect(await codeOf(readCosts(Buffer.from([0x5b, 0xff, 0x5d]), 'json', OPTIONS))).toBe('NOT_UTF8');
    expect(await codeOf(read('[{"date":', 'json'))).toBe('NOT_JSON');
    expect(await codeOf(read('a,b\n"never', 'csv', { defaults: { appId: 'x', currency: 'EUR' } }))).toBe('NO_COLUMN');
    expect(await codeOf(read('date,app_id,media_source,currency,cost\n"never', 'csv'))).toBe('BAD_CSV');
    expect(await codeOf(read('date,app_id,media_source,currency,cost\n"a"b,', 'csv'))).toBe('BAD_CSV');
    for (const [text, format] of [['', 'json'], ['[]', 'json'], ['\n\n', 'lines'], ['date,app_id,media_source,currency,cost\n', 'csv']] as const) expect(await codeOf(read(text, format))).toBe('NO_ROWS');
    expect(await codeOf(read(JSON.stringify([line(), line()]), 'json', { linesMax: 1 }))).toBe('TOO_MANY_ROWS');
    expect((await read(JSON.stringify([line()]), 'json', { linesMax: 1 })).rows).toHaveLength(1);
  });

  it('gives way while it is long', async () => {
    let pauses = 0;
    const pause = (): Promise<void> => {
      pauses++;
      return Promise.resolve();
    };
    await read(JSON.stringify(Array.from({ length: 1_700 }, (_, at) => line({ campaign_id: `c${at}` }))), 'json', { linesMax: 2_000, pause });
    expect(pauses).toBe(3);
  });

  it('of records that were read elsewhere is judged alike', async () => {
    const report = await judgeCostRecords(['Date', 'app_id', 'pid', 'currency', 'cost'], [['2026-11-22T00:00:00.000Z', 'id1', 'fb', 'USD', '0.30000000000000004'], [null, 'id1', 'fb', 'USD', '1']], { ...OPTIONS, moreDecimals: 'round' });
    expect(report).toMatchObject({ rows: [{ date: '2026-11-22', costMicros: 300_000 }], rejected: [{ index: 1, code: 'NO_DATE' }] });
  });
});

describe('dates', () => {
  it('are read in the four ways of Cost Import, month first, and in no other', () => {
    expect(['2026-05-30', '2026/05/30', '5-30-2026', '05/30/2026', '2026-05-30 00:00:00', '2026-05-30T00:00:00Z'].map(readDate)).toEqual(Array.from({ length: 6 }, () => '2026-05-30'));
    expect(['30/05/2026', '2026-5-30', '2026-05/30', '20260530', '2026-13-01', '2026-05-30x', 'today'].map(readDate)).toEqual(Array.from({ length: 7 }, () => null));
  });
});
