import { describe, expect, it } from 'vitest';
import { BodyBuffers } from '../../../ingress/http/body-buffers.ts';

describe('body buffers', () => {
  it('are powers of two that hold what was asked for, 1 KiB at least', () => {
    const buffers = new BodyBuffers(0);
    for (const [bytes, size] of [[1, 1_024], [1_024, 1_024], [1_025, 2_048], [16 * 1024 ** 2, 16 * 1024 ** 2]] as const) {
      expect(buffers.take(bytes).byteLength).toBe(size);
      expect(BodyBuffers.sizeFor(bytes)).toBe(size);
    }
  });

  it('are used again, up to a bound on what is kept', () => {
    const buffers = new BodyBuffers(3_000);
    const [first, second, third] = [buffers.take(1_000), buffers.take(1_000), buffers.take(1_000)];
    for (const buffer of [first, second, third]) buffers.give(buffer);
    const again = [buffers.take(1_000), buffers.take(1_000), buffers.take(1_000)];
    expect(again.filter((buffer) => [first, second, third].includes(buffer))).toHaveLength(2);
  });
});
