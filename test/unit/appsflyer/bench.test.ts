import { describe, expect, it } from 'vitest';
import { benchDecode } from '../../../bench/micro/decode.ts';
import { benchPartitionKey } from '../../../bench/micro/partition-key.ts';

describe('micro benches', () => {
  it('run', () => {
    for (const timing of [...benchDecode({ rounds: 1, calls: 200 }), ...benchPartitionKey({ rounds: 1, calls: 200 })]) expect(timing.medianNs).toBeGreaterThan(0);
  });
});
