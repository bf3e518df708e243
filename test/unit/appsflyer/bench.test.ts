import { describe, expect, it } from 'vitest';
import { benchCells } from '../../../bench/micro/cells.ts';
import { benchDecode } from '../../../bench/micro/decode.ts';
import { benchEnrich } from '../../../bench/micro/enrich.ts';
import { benchPartitionKey } from '../../../bench/micro/partition-key.ts';
import { benchReplay } from '../../../bench/micro/replay.ts';

describe('micro benches', () => {
  it('run', async () => {
    for (const timing of [...benchDecode({ rounds: 1, calls: 200 }), ...benchPartitionKey({ rounds: 1, calls: 200 }), ...benchEnrich({ rounds: 1, calls: 200 })]) expect(timing.medianNs).toBeGreaterThan(0);
    for (const rounds of (await benchReplay({ rounds: 1, events: 2_000 })).values()) expect(rounds[0]).toBeGreaterThan(0);
    for (const timing of (await benchCells({ rounds: 1, events: 2_000 })).timings) expect(timing.medianNs).toBeGreaterThan(0);
  });
});
