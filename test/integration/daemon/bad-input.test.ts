/**
 * Hostile and broken input against the built daemon: each piece gets its answer or ends in the dead-letter store with code and bytes,
 * the books balance to the record, and neither memory nor a well-behaved client beside it notices.
 */

import { connect, type Socket } from 'node:net';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDaemon, appsflyerTime, message, temporaryDirectory } from '../../support/daemon.ts';
import { LATENCY_MS_P99_MAX, Load, conserved, expectExact, pause } from '../../support/load.ts';

const RECORD_BYTES_MAX = 64 * 1024;
const RSS_GROWTH_BYTES_MAX = 250 * 1024 * 1024;
const ONE_DAY_MS = 86_400_000;

interface DeadLetter {
  readonly code: string;
  readonly size: number;
  readonly bytes: string;
  readonly base64?: string;
}

const rssOf = async (daemon: TestDaemon): Promise<number> => Number(/^millrace_process_rss_bytes (\S+)$/m.exec(await (await fetch(`${daemon.admin}/metrics`)).text())?.[1]);

const pushBytes = async (daemon: TestDaemon, body: string | Buffer): Promise<{ status: number; code: string | undefined }> => {
  const response = await fetch(`${daemon.ingest}/v1/appsflyer/push`, { method: 'POST', body });
  const answer = (await response.json()) as { error?: { code: string } };
  return { status: response.status, code: answer.error?.code };
};

/** A message with one field's value written as given, JSON or not. */
const withRaw = (fields: Readonly<Record<string, unknown>>, raw: string): string => `${JSON.stringify(message(fields)).slice(0, -1)},${raw}}`;
const without = (fields: Readonly<Record<string, unknown>>, ...missing: readonly string[]): string => JSON.stringify(Object.fromEntries(Object.entries(message(fields)).filter(([name]) => !missing.includes(name))));
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('the daemon, with a well-behaved client beside', () => {
  const scratch = temporaryDirectory();
  let daemon: TestDaemon;
  let bystander: Load;
  let rssBefore = 0;
  /** Bad records received so far, by verdict. */
  const sent = { accepted: 0, late: 0, rejected: 0 };

  beforeAll(async () => {
    daemon = await TestDaemon.start({
      dataDir: scratch.path,
      env: { MILLRACE_INGEST_RECORD_BYTES_MAX: String(RECORD_BYTES_MAX), MILLRACE_INGEST_BODY_TIMEOUT_MS: '2000', MILLRACE_INGEST_HEADER_TIMEOUT_MS: '2000' },
    });
    bystander = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 1, name: 'bystander' });
    await pause(500);
    rssBefore = await rssOf(daemon);
  });
  afterAll(async () => {
    await TestDaemon.endAll();
    scratch.remove();
  });

  const lettersOf = async (): Promise<readonly DeadLetter[]> => (await daemon.get<{ letters: DeadLetter[] }>('/v1/dead-letters?limit=1000')).letters;
  const rejectedSoFar = async (count: number): Promise<void> => {
    await daemon.until(async () => (await daemon.pipeline()).conservation.rejected >= count, 30_000, `${count} records to be rejected`);
  };

  it('answers 400 to what the door can see is malformed, and keeps its bytes', async () => {
    const bodies: readonly (readonly [code: string, body: string])[] = [
      ['NOT_JSON', ''],
      ['NOT_JSON', '{"app_id":"com.example.shop"'],
      ['NOT_JSON', 'not json at all'],
      ['NOT_JSON', '['.repeat(10_000)],
      ['NOT_JSON', '{"a":'.repeat(10_000)],
      ['NOT_JSON', JSON.stringify(message()).slice(0, 200)],
      ['NOT_OBJECT', '[1,2]'],
      ['NOT_OBJECT', '"text"'],
      ['NOT_OBJECT', 'null'],
      ['NOT_OBJECT', nested(10_000)],
    ];
    for (const [code, body] of bodies) expect(await pushBytes(daemon, body)).toEqual({ status: 400, code });
    sent.rejected += bodies.length;
    await rejectedSoFar(sent.rejected);
    const letters = await lettersOf();
    for (const [code, body] of bodies) {
      const letter = letters.find((candidate) => candidate.size === Buffer.byteLength(body) && body.startsWith(candidate.bytes));
      expect(letter?.code, body.slice(0, 40)).toBe(code);
    }
  });

  it('answers 200 and rejects with a code what only the decoder can see', async () => {
    const bodies: readonly (readonly [code: string, body: string])[] = [
      ['NOT_JSON', withRaw({ appsflyer_id: 'bad-literal' }, '"x":truth')],
      ['NO_APP_ID', without({ appsflyer_id: 'no-app' }, 'app_id')],
      ['NO_APP_ID', JSON.stringify(message({ app_id: '' }))],
      ['NO_EVENT_NAME', without({ appsflyer_id: 'no-name' }, 'event_name')],
      ['BAD_EVENT_TIME', JSON.stringify(message({ appsflyer_id: 'bad-time', event_time: 'yesterday' }))],
      ['BAD_EVENT_TIME', without({ appsflyer_id: 'no-time' }, 'event_time')],
      ['FUTURE_EVENT_TIME', JSON.stringify(message({ appsflyer_id: 'future', event_time: '2099-01-01 00:00:00.000' }))],
      ['FUTURE_EVENT_TIME', JSON.stringify(message({ appsflyer_id: 'tomorrow', event_time: appsflyerTime(Date.now() + ONE_DAY_MS) }))],
      ['NO_IDENTITY', without({}, 'appsflyer_id')],
      ['NO_IDENTITY', JSON.stringify(message({ appsflyer_id: '', advertising_id: '00000000-0000-0000-0000-000000000000', idfa: '00000000-0000-0000-0000-000000000000' }))],
    ];
    for (const [code, body] of bodies) expect((await pushBytes(daemon, body)).status, code).toBe(200);
    sent.rejected += bodies.length;
    await rejectedSoFar(sent.rejected);
    const letters = await lettersOf();
    for (const [code, body] of bodies) expect(letters.find((letter) => letter.bytes === body)?.code, body.slice(0, 80)).toBe(code);
    const metric = async (): Promise<string> => /^millrace_rejected_total\{code="FUTURE_EVENT_TIME"\} (\d+)$/m.exec(await (await fetch(`${daemon.admin}/metrics`)).text())?.[1] ?? 'nothing';
    await daemon.until(async () => (await metric()) === '2', 30_000, 'two rejects of the future in /metrics');
  });

  it('keeps bytes that are not UTF-8 exactly', async () => {
    const cut = Buffer.concat([Buffer.from('{"app_id":"com.example.shop","campaign":"'), Buffer.from([0xff, 0xc0, 0x80, 0xfe])]);
    const whole = Buffer.from(JSON.stringify(message({ appsflyer_id: 'latin1', campaign: '\u00e9t\u00e9' })), 'latin1');
    for (const bytes of [cut, whole]) expect([200, 400]).toContain((await pushBytes(daemon, bytes)).status);
    sent.rejected += 2;
    await rejectedSoFar(sent.rejected);
    const letters = await lettersOf();
    for (const bytes of [cut, whole]) {
      const letter = letters.find((candidate) => candidate.size === bytes.byteLength && candidate.base64 !== undefined);
      expect(letter?.code).toBe('NOT_JSON');
      expect(Buffer.from(letter?.base64 ?? '', 'base64').equals(bytes)).toBe(true);
    }
  });

  it('counts what is odd and still means something', async () => {
    const install = { event_name: 'install', event_value: null };
    const odd: readonly (readonly [campaign: string, body: string, row: Record<string, unknown>])[] = [
      ['odd-unknown', JSON.stringify({ ...message({ ...install, af_c_id: 'odd-unknown' }), ...Object.fromEntries(Array.from({ length: 800 }, (_, at) => [`unknown_${at}`, at])), constructor: 1, toString: null }), { installs: 1 }],
      ['odd-proto', withRaw({ ...install, af_c_id: 'odd-proto' }, '"__proto__":{"app_id":"polluted","event_name":"x"}'), { installs: 1 }],
      ['odd-deep', withRaw({ ...install, af_c_id: 'odd-deep' }, `"x":${nested(10_000)}`), { installs: 1 }],
      ['odd-twice', withRaw({ ...install, af_c_id: 'odd-first' }, '"af_c_id":"odd-twice"'), { installs: 1 }],
      ['1234567890123456789', withRaw({ ...install, af_c_id: null }, '"af_c_id":1234567890123456789'), { installs: 1 }],
      ['odd-money-number', JSON.stringify(message({ af_c_id: 'odd-money-number', event_revenue_usd: 2.5 })), { revenue: '2.50', events: 1 }],
      ['odd-money-text', JSON.stringify(message({ af_c_id: 'odd-money-text', event_revenue_usd: '2.50' })), { revenue: '2.50', events: 1 }],
      ['odd-money-none', JSON.stringify(message({ af_c_id: 'odd-money-none', event_revenue_usd: 'a lot' })), { revenue: '0.00', events: 1 }],
      ['odd-primary', JSON.stringify(message({ af_c_id: 'odd-primary', is_primary_attribution: 'false', event_revenue_usd: '1' })), { events: 0, secondary_conversions: 1 }],
      ['odd-\ufffd', withRaw({ ...install, af_c_id: null }, '"af_c_id":"odd-\\ud800"'), { installs: 1 }],
    ];
    for (const [index, [campaign, body]] of odd.entries()) {
      expect((await pushBytes(daemon, body.replace('1718000000123-4500123456789012345', `odd-${index}`))).status, campaign).toBe(200);
    }
    sent.accepted += odd.length;
    let rows: readonly Record<string, unknown>[] = [];
    await daemon.until(
      async () => {
        rows = (await daemon.hourly('group_by=campaign_id&late=include')).rows;
        return odd.every(([campaign]) => rows.some((row) => row['campaign_id'] === campaign));
      },
      30_000,
      () => `rows of ${odd.map(([campaign]) => campaign).filter((campaign) => !rows.some((row) => row['campaign_id'] === campaign)).join(', ')}; letters follow from ${JSON.stringify(rows.map((row) => row['campaign_id']))}`,
    );
    for (const [campaign, , want] of odd) expect(rows.find((row) => row['campaign_id'] === campaign), campaign).toMatchObject(want);
  });

  it('takes an event of 1970 as late, counts it in no hour, and moves no watermark back', async () => {
    // Late is what lies behind its own partition's watermark: an event of now by the same user comes first.
    expect((await daemon.push(message({ appsflyer_id: 'old', af_c_id: 'epoch-now' }))).status).toBe(200);
    const before = await daemon.pipeline();
    expect((await daemon.push(message({ appsflyer_id: 'old', event_time: '1970-01-01 00:00:00.001', af_c_id: 'epoch' }))).status).toBe(200);
    sent.accepted++;
    sent.late++;
    await daemon.until(async () => (await daemon.pipeline()).conservation.late >= sent.late, 30_000, 'the event of 1970 to be judged');
    const tail = await daemon.get<{ records: { outcome: string; event: Record<string, string> | null }[] }>('/v1/tail?limit=500&outcome=late');
    expect(tail.records).toMatchObject([{ outcome: 'late' }]);
    const after = await daemon.pipeline();
    const watermark = (answer: typeof before, id: number): string => answer.partitions.find((partition) => partition.id === id)?.watermark ?? '';
    for (const { id } of before.partitions) expect(watermark(after, id) >= watermark(before, id)).toBe(true);
    expect((await daemon.hourly('campaign_id=epoch&late=include')).rows).toEqual([]);
  });

  it('rejects an event from before 1970', async () => {
    const body = JSON.stringify(message({ appsflyer_id: 'older', event_time: '1969-12-31 23:59:59.000', af_c_id: 'epoch' }));
    expect((await pushBytes(daemon, body)).status).toBe(200);
    await rejectedSoFar(++sent.rejected);
    expect((await lettersOf()).find((letter) => letter.bytes === body)?.code).toBe('BAD_EVENT_TIME');
  });

  it('refuses a body that is too large and counts nothing of it; of a batch only the record that is too large', async () => {
    const large = JSON.stringify(message({ appsflyer_id: 'large', filler: 'x'.repeat(RECORD_BYTES_MAX) }));
    expect((await pushBytes(daemon, large)).status).toBe(413);
    const batch = [JSON.stringify(message({ appsflyer_id: 'beside-large', af_c_id: 'beside-large' })), large].join('\n');
    const answer = await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: batch, headers: { 'content-type': 'application/x-ndjson' } });
    expect(await answer.json()).toMatchObject({ received: 2, accepted: 1, rejected: [{ index: 1, code: 'TOO_LARGE' }] });
    sent.accepted++;
    sent.rejected++;
    expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: Buffer.alloc(20 * 1024 * 1024, 'x'), headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(413);
    await daemon.until(async () => (await daemon.hourly('campaign_id=beside-large')).rows[0]?.['events'] === 1, 30_000, 'the record beside the large one to be counted');
  });

  it('cuts clients that send one byte a second, and bodies that end early, within seconds', { timeout: 120_000 }, async () => {
    const body = JSON.stringify(message({ appsflyer_id: 'slow' }));
    const heads = { body: `POST /v1/appsflyer/push HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`, none: '' };
    const slow = Array.from({ length: 100 }, (_, at) => (at < 50 ? new SlowClient(daemon.ingestPort, heads.body, body) : new SlowClient(daemon.ingestPort, heads.none, heads.body)));
    const truncated = connect({ port: daemon.ingestPort, host: '127.0.0.1' });
    truncated.on('error', () => undefined);
    truncated.end(`${heads.body}${body.slice(0, 100)}`);
    // uWebSockets.js keeps its own clock for heads: 10 s, give or take 4.
    await daemon.until(() => slow.every((client) => client.closed), 30_000, () => `${slow.filter((client) => !client.closed).length} slow clients to be cut`);
    for (const client of slow) expect(client.received).not.toContain('200 OK');
  });

  it('has balanced its books, kept its memory and served the client beside without an error', async () => {
    const report = await bystander.stop();
    expect([...report.refusals]).toEqual([]);
    expect([...report.failures]).toEqual([]);
    expect(report.latencyMsP99).toBeLessThan(LATENCY_MS_P99_MAX);
    await expectExact(daemon, 'bystander', report);
    const { conservation } = await daemon.pipeline();
    expect(conserved(conservation)).toBe(true);
    expect(conservation.rejected).toBe(sent.rejected);
    expect(conservation).toMatchObject({ accepted: sent.accepted + report.acknowledged, late: sent.late, duplicate: 0 });
    expect((await rssOf(daemon)) - rssBefore).toBeLessThan(RSS_GROWTH_BYTES_MAX);
    expect(daemon.logs.filter((line) => line.level >= 50)).toEqual([]);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('very many campaign names', () => {
  const CAMPAIGNS = 30_000;
  const LIMIT = 50;
  const BATCH = 500;
  const scratch = temporaryDirectory();
  let daemon: TestDaemon;
  beforeAll(async () => {
    writeFileSync(join(scratch.path, 'millrace.yaml'), `cells:\n  dimension_limits:\n    campaign_id: ${LIMIT}\npartitions: 8\n`);
    daemon = await TestDaemon.start({ dataDir: scratch.path, env: { MILLRACE_LAKE_SLOT_BYTES_MAX: String(16 * 1024 * 1024) } });
  });
  afterAll(async () => {
    await TestDaemon.endAll();
    scratch.remove();
  });

  it('count as other beyond the limit, with an alarm, and leave memory and the client beside alone', { timeout: 300_000 }, async () => {
    const bystander = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 1, name: 'beside', campaigns: 1 });
    // The well-known campaign comes first; a value that a partition has seen stays itself.
    await daemon.settled(60);
    expect((await daemon.push(message({ appsflyer_id: 'epoch', event_time: '1970-01-01 00:00:00.001', af_c_id: 'epoch' }))).status).toBe(200);
    const rssBefore = await rssOf(daemon);
    const times = appsflyerTime(Date.now());
    for (let first = 0; first < CAMPAIGNS; first += BATCH) {
      const body = Array.from({ length: BATCH }, (_, at) => JSON.stringify(message({ appsflyer_id: `many-${first + at}`, af_c_id: `many-${first + at}`, campaign: `name ${first + at}`, event_time: times, event_revenue_usd: '1' }))).join('\n');
      expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    }
    const report = await bystander.stop();
    expect([...report.refusals, ...report.failures]).toEqual([]);
    expect(report.latencyMsP99).toBeLessThan(LATENCY_MS_P99_MAX);
    const pipeline = await daemon.settled(CAMPAIGNS + report.acknowledged + 1);
    expect(conserved(pipeline.conservation)).toBe(true);
    let rows: readonly Record<string, unknown>[] = [];
    const events = (): number => rows.reduce((sum, row) => sum + Number(row['events']), 0);
    await daemon.until(
      async () => {
        rows = (await daemon.hourly('from=2000-01-01&group_by=campaign_id&late=include')).rows;
        return events() === CAMPAIGNS + report.acknowledged;
      },
      60_000,
      () => `${CAMPAIGNS + report.acknowledged} events in the rows; they hold ${events()}`,
    );
    expect(rows.reduce((sum, row) => sum + Number(row['revenue_micros']), 0)).toBe((CAMPAIGNS + report.acknowledged) * 1_000_000);
    const names = new Set(rows.map((row) => String(row['campaign_id'])));
    expect(names.has('other')).toBe(true);
    expect(names.size).toBeGreaterThan(LIMIT);
    expect(names.size).toBeLessThanOrEqual(8 * LIMIT + 1);
    let alarms: unknown = [];
    await daemon.until(
      async () => {
        alarms = (await daemon.pipeline())['alarms'];
        return (alarms as string[]).some((alarm) => alarm.includes('campaign_id'));
      },
      30_000,
      () => `an alarm that names campaign_id; there are ${JSON.stringify(alarms)}`,
    );
    expect((await rssOf(daemon)) - rssBefore).toBeLessThan(RSS_GROWTH_BYTES_MAX);
  });

  it('leave room for an event of 1970, which is in the lake under its own date', async () => {
    // A slot ends after 16 MiB of journal: fill it up.
    const filler = Array.from({ length: 15 }, (_, at) => JSON.stringify(message({ appsflyer_id: `filler-${at}`, filler: 'x'.repeat(1_000_000) }))).join('\n');
    expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: filler, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    const lake = join(scratch.path, 'lake', 'events');
    await daemon.until(() => existsSync(lake) && readdirSync(lake).some((name) => name === 'event_date=1970-01-01'), 60_000, () => `events/event_date=1970-01-01; there is ${existsSync(lake) ? readdirSync(lake).join(', ') : 'no lake'}`);
    expect((await daemon.hourly('to=1971-01-01&late=include')).rows.length).toBeLessThanOrEqual(1);
    expect(conserved((await daemon.pipeline()).conservation)).toBe(true);
    expect(await daemon.stop()).toBe(0);
  });
});

class SlowClient {
  closed = false;
  received = '';
  readonly #socket: Socket;

  /** Sends `head` at once, then `rest` a byte a second. */
  constructor(port: number, head: string, rest: string) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    let at = 0;
    socket.write(head === '' ? rest.charAt(at++) : head);
    const timer = setInterval(() => {
      socket.write(rest.charAt(at++));
    }, 1_000);
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    const end = (): void => {
      clearInterval(timer);
      this.closed = true;
      this.#socket.destroy();
    };
    socket.on('end', end);
    socket.on('error', end);
    socket.on('close', end);
  }
}
