import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Sender } from '../../../engine/commands/sender.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { exitCodeOf } from '../../../engine/runtime/exit-codes.ts';

/** What the door answers, one after the other, the last one for ever; null for a broken connection. */
let answers: (number | null)[];
let asked: number;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  asked = 0;
  vi.stubGlobal('fetch', () => {
    const status = answers[Math.min(asked++, answers.length - 1)] as number | null;
    return status === null ? Promise.reject(new TypeError('fetch failed')) : Promise.resolve(new Response(JSON.stringify({ error: { code: 'X', message: 'words of the door' } }), { status }));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const newSender = (batch = 1): Sender => new Sender({ url: 'http://door', inFlightMax: 4, batch, signal: new AbortController().signal });
const message = { body: '{}', method: 'POST' } as const;

async function sendAll(sender: Sender, count: number): Promise<unknown> {
  const end = (async () => {
    for (let sent = 0; sent < count; sent++) await sender.send(message);
    await sender.finish();
  })().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(60_000);
  return Promise.race([end, Promise.resolve('still sending')]);
}

describe('a sender of generated messages', () => {
  it('sends again what the door may take later: 5xx, 429, broken connections', async () => {
    answers = [503, 500, 429, null, 200];
    const sender = newSender();
    expect(await sendAll(sender, 1)).toBeUndefined();
    expect([asked, sender.acknowledged, sender.resent]).toEqual([5, 1, 4]);
  });

  it('takes 400 as final: the door has kept it', async () => {
    answers = [400];
    const sender = newSender();
    expect(await sendAll(sender, 3)).toBeUndefined();
    expect([asked, sender.acknowledged, sender.refused]).toEqual([3, 3, 3]);
  });

  it.each([
    [404, /http:\/\/door\/v1\/appsflyer\/push answered 404: words of the door/],
    [413, /413.*words of the door/],
    [401, /401/],
    [302, /302/],
  ])('ends with 2 where sending again cannot help: %i', async (status, text) => {
    answers = [status];
    const sender = newSender();
    const error = await sendAll(sender, 20);
    expect([error instanceof EngineError, exitCodeOf(error), String(error)]).toEqual([true, 2, expect.stringMatching(text)]);
    expect(asked).toBeLessThanOrEqual(4);
    expect(sender.resent).toBe(0);
  });

  it('ends likewise when the last batch is refused', async () => {
    answers = [200, 413];
    expect(await sendAll(newSender(10), 15)).toMatchObject({ message: expect.stringMatching(/\/v1\/events answered 413/) as unknown, fix: expect.stringMatching(/--batch/) as unknown });
  });
});
