import { expect, it } from 'vitest';
import { LatencyHistogram } from '../../engine/core/histogram.ts';
import { ingressFigures } from '../../engine/ingress-figures.ts';
import type { IngressThreadStats } from '../../engine/ingress-thread.ts';

function told(base: number, sealed: IngressThreadStats['sealed'] = []): IngressThreadStats {
  const latency = new LatencyHistogram();
  latency.record(base);
  return {
    door: { requests: { push: { 200: base } }, refusals: base > 5 ? { BUSY: 1 } : {}, records: { push: base }, recordBytes: base * 10, batchRecordsMax: base, commitMsMax: base, connections: base, ackLatency: latency.snapshot() },
    journal: { durableOffset: base * 100, lastRecordOffset: base * 90, oldestReceivedAtMs: 1_000 - base, aheadMs: base, bytesOnDisk: base, segments: 1, records: base, mode: base > 5 ? 'async' : 'sync', syncLatency: latency.snapshot() },
    sealed,
    heapBytes: base,
  } as unknown as IngressThreadStats;
}

it('figures of several ingress threads are sums, but for bounds and times', () => {
  const { door, journal, lastRecordOffsets, heapBytes } = ingressFigures(new Map([[1, told(7)], [0, told(3, [{ journal: 2, endOffset: 50, oldestReceivedAtMs: 10, bytesOnDisk: 1_000, segments: 2 }])]]));
  expect(door).toMatchObject({ requests: { push: { 200: 10 } }, refusals: { BUSY: 1 }, records: { push: 10 }, recordBytes: 100, batchRecordsMax: 7, commitMsMax: 7, connections: 10, ackLatency: { count: 2, sumMs: 10, maxMs: 7 } });
  expect(journal).toMatchObject({ durableOffset: 1_050, oldestReceivedAtMs: 10, aheadMs: 7, bytesOnDisk: 1_010, segments: 4, records: 10, mode: 'async' });
  expect([lastRecordOffsets, heapBytes]).toEqual([[270, 630, 50], [3, 7]]);
});

it('figures of one are its own', () => {
  const own = told(3);
  expect(ingressFigures(new Map([[0, own]]))).toMatchObject({ door: own.door, journal: own.journal });
});

it('a thread that has told nothing yet leaves its place among the journals', () => {
  expect(ingressFigures(new Map([[1, told(7)]])).lastRecordOffsets).toEqual([0, 630]);
  const first = told(3, [{ journal: 2, endOffset: 50, oldestReceivedAtMs: 10, bytesOnDisk: 1_000, segments: 2 }]);
  expect(ingressFigures(new Map([[0, first]])).lastRecordOffsets).toEqual([270, 0, 50]);
});
