/** The door over the real journal: what was answered can be read back, by partition, with flags and sources. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { offset } from '../../../engine/core/types.ts';
import { createRecordCursor, openJournal, openLogReader } from '../../../engine/log/index.ts';
import { ingressOptionsSchema, openIngress } from '../../../ingress/index.ts';
import { DOORS, EVENTS, PARTITIONS, PUSH, ask, message, partitioner, type Answer } from './harness.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** As senders do: what met a full batch while the disk was slow goes again. */
async function push(url: string, init: RequestInit = {}): Promise<Answer> {
  for (;;) {
    const answer = await ask(url, init);
    if (answer.code !== 'JOURNAL_BUSY') return answer;
  }
}

describe.each(DOORS)('on the %s door', (door) => {
  it('reads back everything that was answered, and controls in their own batches', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-ingress-'));
    directories.push(directory);
    const { writer } = await openJournal({ directory, instance: 'test', partitionCount: PARTITIONS, clock: systemClock, publish: () => undefined, segmentBytes: 16 * 1024 * 1024, batchBytesMax: 256 * 1024 });
    const options = ingressOptionsSchema.parse({ host: '127.0.0.1', port: 0, record_bytes_max: 64 * 1024 });
    const ingress = await openIngress({ options, door, writer, partitioner: partitioner(), diskReserveExhausted: () => false, clock: systemClock });
    const url = `http://127.0.0.1:${ingress.door.port}`;

    const pushes = Array.from({ length: 200 }, (_, index) => message(`push ${index}`));
    const many = Array.from({ length: 5_000 }, (_, index) => message(`many ${index}`, `,"x":"${'y'.repeat(200)}"`));
    const bad = ['', 'no JSON', '{"app_id":'];
    const answers = await Promise.all([
      ...pushes.map((body) => push(url + PUSH, { method: 'POST', body })),
      ask(url + EVENTS, { method: 'POST', body: many.join('\n') }),
      ...bad.map((body) => push(url + PUSH, { method: 'POST', body })),
      push(`${url}${PUSH}?app_id=id1&appsflyer_id=get`),
      ingress.writeControl(Buffer.from('rule')).then(() => ({ status: 200 })),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([...pushes.map(() => 200), 200, 400, 400, 400, 200, 200]);
    expect(await ingress.drain(20_000)).toBe(0);
    await writer.close();

    const expected = [
      ...pushes.map((body) => `${RecordSource.push} 0 ${body}`),
      ...many.map((body) => `${RecordSource.events} 0 ${body}`),
      ...bad.map((body) => `${RecordSource.push} 1 ${body}`),
      `${RecordSource.pushGet} 0 {"app_id":"id1","appsflyer_id":"get"}`,
    ];
    const found: string[] = [];
    const controls: string[] = [];
    const reader = openLogReader({ directory, lane: { first: 0, count: PARTITIONS }, from: offset(0) });
    const cursor = createRecordCursor();
    const where = partitioner();
    for (let batch = reader.read(writer.durableOffset); batch !== null; batch = reader.read(writer.durableOffset)) {
      for (const control of batch.controls) controls.push(`${Buffer.from(control).toString()} ${batch.recordCount}`);
      for (const slice of batch.slices) {
        for (cursor.reset(batch, slice); cursor.next(); ) {
          found.push(`${cursor.source} ${cursor.flags} ${batch.bytes.toString('utf8', cursor.start, cursor.end)}`);
          where.locate(batch.bytes, cursor.start, cursor.end);
          expect(where.partition).toBe(slice.partition);
        }
      }
    }
    reader.close();
    expect(found.sort()).toEqual(expected.sort());
    expect(controls).toEqual(['rule 0']);
  });
});
