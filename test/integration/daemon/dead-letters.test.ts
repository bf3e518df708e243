/** Rejected records as the admin port gives them back: the beginning of many, or one whole. */

import { describe, expect, it } from 'vitest';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();
const RECORD_BYTES = 100_000;
const SHOWN_BYTES = 4_096;

interface Letter {
  readonly partition: number;
  readonly id: number;
  readonly size: number;
  readonly bytes: string;
  readonly base64?: string;
}

describe('a dead letter', () => {
  it('is shown by its beginning and given whole, byte for byte, also after a restart', async () => {
    let daemon = await started({ dataDir: scratch.path });
    const body = Buffer.alloc(RECORD_BYTES, 0x61);
    body[RECORD_BYTES - 1] = 0xff;
    expect((await fetch(`${daemon.ingest}/v1/appsflyer/push`, { method: 'POST', body })).status).toBe(400);
    await daemon.settled(1);
    for (let life = 0; life < 2; life++) {
      const { letters } = await daemon.get<{ letters: Letter[] }>('/v1/dead-letters');
      const [letter] = letters as [Letter];
      expect([letters.length, letter.size, letter.bytes.length]).toEqual([1, RECORD_BYTES, SHOWN_BYTES]);
      expect(letter.base64).toBe(body.toString('base64', 0, SHOWN_BYTES));
      const whole = await fetch(`${daemon.admin}/v1/dead-letters/${letter.partition}/${letter.id}`);
      expect([whole.status, whole.headers.get('content-type'), whole.headers.get('x-size')]).toEqual([200, 'application/octet-stream', String(RECORD_BYTES)]);
      expect(Buffer.from(await whole.arrayBuffer()).equals(body)).toBe(true);
      expect(await daemon.stop()).toBe(0);
      daemon = await started({ dataDir: scratch.path });
    }
  });

  it('that is not there is 404, and a name that can be none is 400', async () => {
    const daemon = await started({ dataDir: scratch.path });
    const ask = async (name: string): Promise<unknown> => {
      const answer = await fetch(`${daemon.admin}/v1/dead-letters/${name}`);
      return [answer.status, ((await answer.json()) as { error: { code: string } }).error.code];
    };
    expect(await ask('0/1')).toEqual([404, 'NOT_FOUND']);
    expect(await ask('31/9007199254740991')).toEqual([404, 'NOT_FOUND']);
    for (const name of ['32/1', 'x/1', '0/x', '0/0', '0/-1', '0/1.5']) expect(await ask(name), name).toEqual([400, 'QUERY_INVALID']);
  });
});
