/** Ending well: drain under load, and that nothing acknowledged is ever missing. */

import { afterEach, describe, expect, it } from 'vitest';
import { DOORS, EVENTS, PUSH, client, closeAll, message, open, pause, post, until, untilQuiet, type Rig } from './harness.ts';

afterEach(closeAll);

interface Outcome {
  readonly acknowledged: string[];
  readonly statuses: Map<number, number>;
}

/** Sends until the connection ends or `stop` says so. */
async function sendOn(rig: Rig, name: string, outcome: Outcome, stop: () => boolean): Promise<void> {
  const sender = client(rig.port);
  for (let index = 0; !stop() && !sender.closed; index++) {
    const body = message(`${name}-${index}`);
    try {
      const { status, headers } = await sender.send(post(PUSH, body)).reply();
      outcome.statuses.set(status, (outcome.statuses.get(status) ?? 0) + 1);
      if (status === 200) outcome.acknowledged.push(body);
      if (status === 503 && headers['connection'] === 'close') return;
    } catch {
      return;
    }
  }
}

describe.each(DOORS)('on the %s door', (door) => {
  it.each([0, 10])('drains under load (commits of %i ms): what was answered is journaled, what comes late gets 503 or no connection', async (commitMs) => {
    const rig = await open(door);
    rig.log.commitMs = commitMs;
    const outcome: Outcome = { acknowledged: [], statuses: new Map() };
    const senders = Array.from({ length: 32 }, (_, index) => sendOn(rig, String(index), outcome, () => false));
    await until(() => outcome.acknowledged.length > 300, 'some load');
    expect(await rig.ingress.drain(20_000)).toBe(0);
    const batches = rig.log.batches.length;
    await Promise.all(senders);
    const journaled = new Map<string, number>();
    for (const text of rig.log.texts) journaled.set(text, (journaled.get(text) ?? 0) + 1);
    expect(outcome.acknowledged.filter((body) => journaled.get(body) !== 1)).toEqual([]);
    expect([...outcome.statuses.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    const late = client(rig.port);
    await late.untilClosed();
    expect(late.received).toBe('');
    await pause(50);
    expect(rig.log.batches.length).toBe(batches);
  });

  it('answers what is in flight before it ends: a commit under way and a body that is still coming', async () => {
    const rig = await open(door);
    const idle = client(rig.port).send(post(PUSH, message('idle')));
    await idle.reply();
    rig.log.hold();
    const waiting = client(rig.port).send(post(PUSH, message('waiting')));
    await until(() => rig.log.committing, 'the commit');
    const uploading = client(rig.port).send(post(EVENTS, '', { 'Content-Length': String(message('uploading').length) })).send('{');
    const again = client(rig.port).send(post(PUSH, message('again')));
    await until(() => rig.ingress.stats().inFlightRequests === 3 && rig.ingress.stats().records['push'] === 3, 'all to be inside');
    const drained = rig.ingress.drain(20_000);
    await pause(20);
    uploading.send(message('uploading').slice(1));
    await until(() => rig.ingress.stats().records['events'] === 1, 'the whole body');
    rig.log.release();
    expect([(await waiting.reply()).status, (await again.reply()).status]).toEqual([200, 200]);
    const last = await uploading.reply();
    expect([last.status, last.headers['connection']]).toEqual([200, 'close']);
    expect(await drained).toBe(0);
    expect([...rig.log.texts].sort()).toEqual(['again', 'idle', 'uploading', 'waiting'].map((name) => message(name)).sort());
  });

  it('refuses new requests on kept connections while it drains, and closes them', async () => {
    const rig = await open(door);
    const holder = client(rig.port).send(post(PUSH, '', { 'Content-Length': '100' })).send('{');
    await until(() => rig.ingress.stats().inFlightRequests === 1, 'the upload');
    const busy = client(rig.port).send(post(PUSH, message(1)).slice(0, -1));
    await until(() => rig.ingress.stats().inFlightRequests === 2, 'the second');
    const drained = rig.ingress.drain(3_000);
    busy.send('}');
    const reply = await busy.reply();
    expect([reply.status, reply.headers['connection']]).toEqual([200, 'close']);
    const refused = client(rig.port).send(post(PUSH, message(2)));
    await refused.untilClosed();
    expect(refused.received).not.toContain('200 OK');
    expect(await drained).toBe(1);
    await holder.untilClosed();
  });

  it('ends at its deadline with a client that never finishes', async () => {
    const rig = await open(door);
    client(rig.port).send(post(PUSH, '', { 'Content-Length': '100' })).send('{');
    await until(() => rig.ingress.stats().inFlightRequests === 1, 'the upload');
    const startedMs = performance.now();
    expect(await rig.ingress.drain(200)).toBe(1);
    // Well before the timeout of the body, which would end it too.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(rig.ingress.stats()).toMatchObject({ inFlightRequests: 0, inFlightBytes: 0 });
  });

  it('loses nothing it acknowledged while commits fail now and then, slowly and fast, and clients leave', async () => {
    const rig = await open(door);
    const outcome: Outcome = { acknowledged: [], statuses: new Map() };
    let stop = false;
    const senders = Array.from({ length: 24 }, (_, index) => sendOn(rig, `steady ${index}`, outcome, () => stop));
    const enough = (): boolean => outcome.acknowledged.length > 100 && (outcome.statuses.get(503) ?? 0) > 0;
    for (let round = 0; round < 30 || (!enough() && round < 1_000); round++) {
      rig.log.fail = round % 3 === 2 ? 'JOURNAL_WRITE_FAILED' : null;
      rig.log.commitMs = round % 4 === 1 ? 8 : 0;
      const leaving = client(rig.port).send(post(PUSH, message(`leaving ${round}`)));
      await pause(15);
      leaving.socket.resetAndDestroy();
    }
    rig.log.fail = null;
    stop = true;
    await Promise.all(senders);
    await untilQuiet(rig);
    expect(enough()).toBe(true);
    const journaled = new Set(rig.log.texts);
    expect(outcome.acknowledged.filter((body) => !journaled.has(body))).toEqual([]);
  });
});
