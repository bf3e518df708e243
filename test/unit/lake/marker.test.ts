import { expect, it } from 'vitest';
import { HourlySink } from '../../../sinks/lake/hourly-sink.ts';
import { S3Target } from '../../../sinks/lake/s3-target.ts';
import { SimulatedBucket } from '../../simulation/bucket.ts';
import { World } from '../../simulation/world.ts';

const INSTANCE = '1'.repeat(32);

it('a marker that lands after the lake was emptied is refused there: it would say that the hours are in it', async () => {
  const world = new World(1);
  const bucket = new SimulatedBucket(world);
  const target = new S3Target({ url: 's3://lake', credentials: null, requestTimeoutMs: 60_000, warn: () => undefined, client: bucket.client(() => true), abortAfter: () => new AbortController().signal });
  const sink = new HourlySink({ target, instance: INSTANCE, intervalMs: 0, cellsPerHourMax: 10, encodeTable: () => Promise.resolve(new Uint8Array(1)), warn: () => undefined, pause: () => Promise.resolve() });
  const ended = async <Value>(work: Promise<Value>): Promise<Value> => {
    let isOver = false;
    const over = work.finally(() => (isOver = true));
    over.catch(() => undefined);
    await world.run(() => isOver, 120_000);
    return over;
  };
  await ended(sink.open());
  await ended(sink.mark({ instance: INSTANCE, generation: 1, settled: 0 }));
  const marking = sink.mark({ instance: INSTANCE, generation: 1, settled: 7 });
  marking.catch(() => undefined);
  // What was asked already is answered soon; the writing takes its time.
  bucket.hangMs = 50_000;
  await world.run(() => bucket.inFlight === 1, 1_000);
  await ended(world.sleep(100));
  bucket.forget(() => false);
  await expect(ended(marking)).rejects.toMatchObject({ code: 'SINK_REFUSED', retryable: true });
  expect(bucket.objects.size).toBe(0);
});
