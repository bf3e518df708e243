/** Spend over kills, restarts and savepoints, in a bucket, and by `millrace costs load`. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../support/daemon.ts';
import { duckdb } from '../../support/duckdb.ts';
import { startS3Lake } from '../../support/s3-lake.ts';
import { describeWithS3 } from '../../peers/s3.ts';
import { useDaemons } from './harness.ts';
import { costsOf, day, lakeCosts, line, put, QUICK_LAKE } from './spend.ts';

const { scratch, started } = useDaemons();

describe('spend', () => {
  it('that was acknowledged is there after every kill, and in the lake in the end', async () => {
    const acknowledged = new Map<string, string>();
    const env = { ...QUICK_LAKE, MILLRACE_THREADS_INGRESS: '2' };
    let round = 0;
    for (let life = 0; life < 6; life++) {
      const daemon = await started({ dataDir: scratch.path, env });
      for (const [name, cost] of acknowledged) expect((await costsOf(daemon)).get(name)).toBe(cost);
      let stopped = false;
      const senders = Array.from({ length: 3 }, async (_, sender) => {
        while (!stopped) {
          const cost = `${++round}.25`;
          const lines = Array.from({ length: 40 }, (__, at) => line({ campaign_id: `s${sender}-${at}`, date: day(at % 5), cost }));
          const answer = await put(daemon, lines).catch(() => null);
          // Unanswered ones may be there or not.
          if (answer?.status !== 200) return lines.map((each) => `${String(each['date'])} ${String(each['campaign_id'])} `);
          for (const each of lines) acknowledged.set(`${String(each['date'])} ${String(each['campaign_id'])} `, cost);
        }
        return [];
      });
      await new Promise((settle) => setTimeout(settle, 150 + life * 60));
      await daemon.kill();
      stopped = true;
      for (const uncertain of await Promise.all(senders)) for (const name of uncertain) acknowledged.delete(name);
    }
    expect(round).toBeGreaterThan(20);
    const daemon = await started({ dataDir: scratch.path, env });
    const kept = await costsOf(daemon);
    for (const [name, cost] of acknowledged) expect(kept.get(name)).toBe(cost);
    const lake = join(scratch.path, 'lake');
    const inLake = async (): Promise<Map<string, string>> => new Map((await lakeCosts(lake)).map((row) => [`${String(row['date'])} ${String(row['campaign_id'])} `, String(row['cost']).replace(/0000$/, '')]));
    await daemon.until(async () => JSON.stringify([...(await inLake())].sort()) === JSON.stringify([...kept].sort()), 30_000, 'the lake to hold what the store holds');
    expect(await daemon.stop()).toBe(0);
  });

  it('goes with a savepoint, and the restored life takes the lake over', async () => {
    const lakeUrl = `file:${join(scratch.path, 'shared-lake')}`;
    const source = await started({ dataDir: scratch.path, env: { ...QUICK_LAKE, MILLRACE_LAKE_URL: lakeUrl } });
    await put(source, [line(), line({ date: day(3) })]);
    const [savepoint, target] = [join(scratch.path, 'savepoint'), join(scratch.path, 'restored')];
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    await put(source, [line({ cost: '99' })]);
    await source.until(async () => (await lakeCosts(join(scratch.path, 'shared-lake'))).some(({ cost }) => cost === '99.000000'), 20_000, 'the change in the lake');
    expect(await source.stop()).toBe(0);
    expect((await runCli(['savepoint', 'restore', savepoint, '--into', target])).code).toBe(0);
    const restored = await started({ dataDir: target, env: { ...QUICK_LAKE, MILLRACE_LAKE_URL: lakeUrl } });
    expect([...(await costsOf(restored)).values()]).toEqual(['12.50', '12.50']);
    await restored.until(async () => (await lakeCosts(join(scratch.path, 'shared-lake'))).every(({ cost }) => cost === '12.500000'), 20_000, 'the lake to be as the restored life has it');
    expect(await restored.stop()).toBe(0);
  });
});

describeWithS3('minio', 'spend in a bucket', () => {
  it('is one object a date, rewritten when a day is restated, and left alone by the next life', async () => {
    const lake = await startS3Lake(join(scratch.path, 'copy'));
    try {
      const env = { ...QUICK_LAKE, ...lake.env };
      const inBucket = async (): Promise<string> => {
        await lake.refresh();
        return (await lakeCosts(lake.path)).map(({ date, country, cost }) => `${String(date)} ${String(country)} ${String(cost)}`).join();
      };
      const daemon = await started({ dataDir: scratch.path, env });
      await put(daemon, [line({ country: 'FR' }), line({ country: 'DE' }), line({ date: day(2) })]);
      await daemon.until(async () => (await inBucket()) === `${day(2)} null 12.500000,${day(1)} DE 12.500000,${day(1)} FR 12.500000`, 20_000, 'three rows in the bucket');
      await put(daemon, [line({ country: 'US', cost: '1' })], '?replace=day');
      await daemon.kill();
      const next = await started({ dataDir: scratch.path, env });
      await next.until(async () => (await inBucket()) === `${day(2)} null 12.500000,${day(1)} US 1.000000`, 20_000, 'the restated day in the bucket');
      expect(await next.stop()).toBe(0);
    } finally {
      await lake.stop();
    }
  });
});

describe('costs load', () => {
  it('sends CSV and Parquet files in requests of a size that the daemon takes, and loading again changes nothing', async () => {
    const env = { MILLRACE_INGEST_COSTS_ROWS_MAX: '50', MILLRACE_INGEST_AUTH_TOKENS: 'a-sender-0123456789abcdef' };
    const daemon = await started({ dataDir: scratch.path, env });
    const load = (file: string, ...more: string[]): ReturnType<typeof runCli> => runCli(['costs', 'load', join(scratch.path, file), '--url', daemon.ingest, ...more], env);
    // As Cost ETL writes it: finer than a row, amounts as doubles, dates as dates.
    await duckdb(`copy (select date '${day(1)}' as date, 'com.example.shop' as app_id, 'fb' as media_source, 'spring' as campaign, 'c' || (i % 120) as campaign_id, 'set' || i as adset, 'US' as geo, 'USD' as currency, 0.1::double as cost, 5::bigint as impressions, [1, 2] as extra from range(360) t(i)) to '${join(scratch.path, 'etl.parquet')}' (format parquet, compression snappy)`);
    const parquet = await load('etl.parquet', '--replace', 'name');
    expect([parquet.code, parquet.stdout]).toEqual([0, '120 rows: 120 new, 0 changed, 0 as they were; 0 others removed\n']);
    const kept = await costsOf(daemon);
    expect([kept.size, kept.get(`${day(1)} c7 US`)]).toEqual([120, '0.30']);
    expect(await runCli(['costs', 'load', join(scratch.path, 'etl.parquet'), '--url', daemon.ingest], { MILLRACE_INGEST_COSTS_ROWS_MAX: '50' })).toMatchObject({ code: 1, stderr: expect.stringContaining('401') as unknown });
    expect((await load('etl.parquet')).stdout).toBe('120 rows: 0 new, 0 changed, 120 as they were; 0 others removed\n');
    await duckdb(`copy (select timestamp '${day(1)} 00:00:00' as date, 'com.example.shop' as app_id, 'fb' as media_source, 77::bigint as campaign_id, 'USD' as currency, 1.25::decimal(18,6) as cost) to '${join(scratch.path, 'one.parquet')}' (format parquet, compression zstd)`);
    const restated = await load('one.parquet', '--replace', 'day');
    expect([restated.code, restated.stdout]).toEqual([0, '1 rows: 1 new, 0 changed, 0 as they were; 120 others removed\n']);
    writeFileSync(join(scratch.path, 'costs.csv'), `date,app-id,media-source,campaign,spend,geo,currency,campaign-id\n${day(2)},id1,network_x_int,campaign_a,2874.12345,US,GBP,abc\n`);
    expect((await load('costs.csv', '--dry-run')).code).toBe(0);
    expect((await load('costs.csv')).stdout).toContain('1 rows: 1 new');
    expect([...(await costsOf(daemon))]).toEqual([[`${day(2)} abc US`, '2874.12345'], [`${day(1)} 77 `, '1.25']]);
    expect(await daemon.stop()).toBe(0);
  });

  it('sends nothing of a file with a bad line, and says which', async () => {
    const daemon = await started({ dataDir: scratch.path });
    const file = join(scratch.path, 'costs.csv');
    writeFileSync(file, `date,app_id,media_source,currency,cost\n${day(1)},id1,fb,EUR,1\n${day(1)},id1,fb,EUR,one\n`);
    const bad = await runCli(['costs', 'load', file, '--url', daemon.ingest]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/COSTS_REFUSED: .*1 of 2 lines cannot be taken .*\n {2}line 1: BAD_COST/);
    writeFileSync(join(scratch.path, 'no.parquet'), 'PAR1 nothing');
    expect((await runCli(['costs', 'load', join(scratch.path, 'no.parquet'), '--url', daemon.ingest])).stderr).toContain('COSTS_REFUSED');
    expect((await runCli(['costs', 'load', join(scratch.path, 'costs.txt'), '--url', daemon.ingest])).stderr).toContain('--format');
    expect((await costsOf(daemon)).size).toBe(0);
    expect(await daemon.stop()).toBe(0);
  });
});
