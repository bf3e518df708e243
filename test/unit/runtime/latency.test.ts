import { describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS } from '../../../engine/core/histogram.ts';
import { LatencyTracker } from '../../../engine/runtime/latency.ts';

const counted = (tracker: LatencyTracker, sink: string): number => tracker.snapshots().get(sink)?.count ?? -1;
const summed = (tracker: LatencyTracker, sink: string): number => tracker.snapshots().get(sink)?.sumMs ?? -1;

describe('end-to-end latency', () => {
  it('counts the live store at once and a sink when it has settled the change', () => {
    const tracker = new LatencyTracker(['redis']);
    tracker.stored(1, 1_000, 1_010);
    expect([counted(tracker, 'live'), counted(tracker, 'redis')]).toEqual([1, 0]);
    tracker.settled('redis', 1, 1_050);
    expect([summed(tracker, 'live'), summed(tracker, 'redis')]).toEqual([10, 50]);
  });

  it('counts what a mark covers, once, and leaves the rest waiting', () => {
    const tracker = new LatencyTracker(['redis']);
    for (let change = 1; change <= 5; change++) tracker.stored(change, 1_000, 1_000);
    tracker.settled('redis', 3, 1_100);
    tracker.settled('redis', 3, 9_000);
    expect([counted(tracker, 'redis'), summed(tracker, 'redis')]).toEqual([3, 300]);
    tracker.settled('redis', 5, 1_200);
    expect([counted(tracker, 'redis'), summed(tracker, 'redis')]).toEqual([5, 700]);
  });

  it('is kept for each sink by itself', () => {
    const tracker = new LatencyTracker(['redis', 'lake-hourly']);
    tracker.stored(1, 0, 5);
    tracker.settled('lake-hourly', 1, 60_000);
    expect([counted(tracker, 'redis'), counted(tracker, 'lake-hourly')]).toEqual([0, 1]);
  });

  it('is never below zero when a clock steps back', () => {
    const tracker = new LatencyTracker(['redis']);
    tracker.stored(1, 5_000, 4_000);
    tracker.settled('redis', 1, 3_000);
    expect([summed(tracker, 'live'), summed(tracker, 'redis')]).toEqual([0, 0]);
  });

  it('takes no heed of a sink it does not know', () => {
    const tracker = new LatencyTracker([]);
    tracker.settled('nobody', 1, 1);
    expect([...tracker.snapshots().keys()]).toEqual(['live']);
  });

  it('holds a bounded number of changes for a sink that is away, and gives up the oldest', () => {
    const tracker = new LatencyTracker(['redis']);
    for (let change = 1; change <= 100_000; change++) tracker.stored(change, change, change);
    tracker.settled('redis', 100_000, 100_000);
    expect(counted(tracker, 'redis')).toBeGreaterThan(1_000);
    expect(counted(tracker, 'redis')).toBeLessThanOrEqual(4_096);
    // Those left are the newest: none is older than what the bound holds.
    expect(summed(tracker, 'redis') / counted(tracker, 'redis')).toBeLessThan(4_096);
  });

  it('falls into the bucket of its bound', () => {
    const tracker = new LatencyTracker([]);
    tracker.stored(1, 0, 5);
    expect(tracker.snapshots().get('live')?.counts[LATENCY_BOUNDS_MS.indexOf(5)]).toBe(1);
  });
});
