import { describe, expect, test } from 'vitest';
import { CellKind } from '../../engine/core/cell.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { SinkMarker } from '../../engine/core/feed.ts';
import type { SinkNotice, SinkWriterTimings } from '../../sinks/sink-writer.ts';
import { resumeFrom, SinkWriter } from '../../sinks/sink-writer.ts';
import { cellOf, joined, MemoryFeed, TEST_INSTANCE } from '../conformance/memory-feed.ts';
import { MemorySink, MemorySystem } from '../conformance/memory-sink.ts';
import { settle, VirtualWorld } from '../conformance/virtual-world.ts';

const cell = (key: string, revision = 1) => cellOf({ kind: CellKind.hour, windowStartMs: 0, dimensions: joined(key, 'app', 'net', 'DE', 'phone'), revision });
const unavailable = (retryAfterMs?: number) => new EngineError('SINK_UNAVAILABLE', 'away', retryAfterMs === undefined ? {} : { retryAfterMs });

function setUp(options: { timings?: Partial<SinkWriterTimings>; system?: MemorySystem; feed?: MemoryFeed } = {}) {
  const world = new VirtualWorld();
  const feed = options.feed ?? new MemoryFeed();
  const sink = new MemorySink(options.system);
  const notices: SinkNotice[] = [];
  const writer = new SinkWriter({ sink, feed, world, onNotice: (notice) => notices.push(notice), ...(options.timings === undefined ? {} : { timings: options.timings }) });
  return { world, feed, sink, notices, writer, system: sink.system };
}

describe('where to resume', () => {
  const own: SinkMarker = { instance: 'a', generation: 5, settled: 70 };
  test.each([
    ['the same mark', { instance: 'a', generation: 5, settled: 70 }, { type: 'resume', mark: 70 }],
    ['a mark ahead of ours, as after a crash', { instance: 'a', generation: 5, settled: 90 }, { type: 'resume', mark: 70 }],
    ['no marker', null, { type: 'feed_again', mark: 0 }],
    ['a lower mark', { instance: 'a', generation: 5, settled: 30 }, { type: 'feed_again', mark: 30 }],
    ['another instance', { instance: 'b', generation: 5, settled: 90 }, { type: 'feed_again', mark: 0 }],
    ['a lower generation', { instance: 'a', generation: 4, settled: 90 }, { type: 'feed_again', mark: 0 }],
    ['a higher generation', { instance: 'a', generation: 6, settled: 1 }, { type: 'stale' }],
    ['a higher generation of another instance', { instance: 'b', generation: 6, settled: 1 }, { type: 'stale' }],
  ] as const)('%s', (_, marker, expected) => {
    expect(resumeFrom(marker, own)).toMatchObject(expected);
  });

  test('a new sink without a marker is not fed again: nothing was given to it', () => {
    expect(resumeFrom(null, { ...own, settled: 0 })).toEqual({ type: 'resume', mark: 0 });
  });
});

describe('the sink writer', () => {
  test('writes what changed, marks the sink, then settles', async () => {
    const { world, feed, sink, writer } = setUp();
    feed.put(cell('a'), cell('b'));
    writer.start();
    await world.advance(10);
    expect(sink.calls).toEqual(['open', 'mark', 'write', 'mark']);
    expect(feed.settled).toEqual([2]);
    expect(writer.health()).toEqual({ name: 'memory', healthy: true, settledMark: 2, lagMs: 0, lastError: null, writes: 1, failures: 0, cellsWritten: 2 });
  });

  test('does nothing while nothing changes, and wakes on a change', async () => {
    const { world, feed, sink, writer } = setUp();
    writer.start();
    await world.advance(30_000);
    expect(sink.calls).toEqual(['open', 'mark']);
    feed.put(cell('a'));
    await settle();
    expect(feed.settledMark('memory')).toBe(1);
  });

  test('leaves at least the interval between two writes, and gathers what changes meanwhile', async () => {
    const { world, feed, sink, writer } = setUp();
    sink.intervalMs = 1_000;
    writer.start();
    for (let index = 0; index < 50; index++) {
      feed.put(cell('a', index));
      await world.advance(100);
    }
    expect(sink.calls.filter((call) => call === 'write').length).toBe(6);
  });

  test('a backlog is written in bounded batches without waiting for the interval', async () => {
    const { world, feed, sink, writer } = setUp({ timings: { cellsPerWriteMax: 10 } });
    sink.intervalMs = 60_000;
    for (let index = 0; index < 35; index++) feed.put(cell(`key-${index}`));
    writer.start();
    await world.advance(10);
    expect(feed.settled).toEqual([10, 20, 30, 35]);
    expect(writer.health().cellsWritten).toBe(35);
  });

  test('changes whose cells are gone settle without a write', async () => {
    const { world, feed, sink, writer } = setUp();
    feed.put(cell('a'));
    feed.retire(cell('a'));
    writer.start();
    await world.advance(10);
    expect(sink.calls).not.toContain('write');
    expect(feed.settledMark('memory')).toBe(1);
  });

  test('waits longer after each failure, up to the bound, with jitter, and is back to short waits after success', async () => {
    const { world, feed, sink, notices, writer } = setUp({ timings: { backoffMinMs: 100, backoffMaxMs: 1_000 } });
    feed.put(cell('a'));
    sink.system.away = true;
    writer.start();
    await world.advance(5_000);
    const waits = notices.flatMap((notice) => (notice.type === 'failed' ? [notice.retryInMs] : []));
    expect(waits.slice(0, 6)).toEqual([75, 150, 300, 600, 750, 750]);
    expect(writer.health()).toMatchObject({ healthy: false, lastError: 'memory is away', settledMark: 0 });
    expect(writer.health().lagMs).toBe(5_000);
    sink.system.away = false;
    await world.advance(1_000);
    expect(notices.at(-1)).toEqual({ type: 'recovered', sink: 'memory', failuresInARow: waits.length });
    expect(writer.health()).toMatchObject({ healthy: true, lastError: null, lagMs: 0 });
    sink.system.away = true;
    feed.put(cell('a', 2));
    await world.advance(1);
    expect(notices.at(-1)).toMatchObject({ type: 'failed', retryInMs: 75 });
  });

  test('a sink that opens and then refuses every write is not hammered, and not called healthy', async () => {
    const { world, feed, sink, notices, writer } = setUp({ timings: { backoffMinMs: 100, backoffMaxMs: 10_000 } });
    sink.hook = (step) => {
      if (step !== 'write') return;
      if (sink.calls.filter((call) => call === 'write').length > 1) expect(writer.health().healthy).toBe(false);
      throw new EngineError('SINK_REFUSED', 'no room');
    };
    feed.put(cell('a'));
    writer.start();
    await world.advance(30_000);
    expect(notices.filter((notice) => notice.type === 'failed').length).toBeLessThan(12);
    expect(writer.health()).toMatchObject({ healthy: false, lastError: 'no room' });
  });

  test('honours the time after which the sink wants to be asked again', async () => {
    const { world, notices, sink, writer } = setUp();
    sink.hook = () => {
      throw unavailable(20_000);
    };
    writer.start();
    await world.advance(1);
    expect(notices.at(-1)).toMatchObject({ type: 'failed', retryInMs: 20_000 });
  });

  test('the mark never runs ahead of what is written, wherever a step fails', async () => {
    for (let failAt = 0; failAt < 12; failAt++) {
      const { world, feed, sink, writer, system } = setUp({ timings: { cellsPerWriteMax: 3 } });
      for (let index = 0; index < 10; index++) feed.put(cell(`key-${index}`));
      let step = 0;
      sink.hook = () => {
        expect(feed.settledMark('memory')).toBeLessThanOrEqual(system.cells.size);
        expect(system.marker?.settled ?? 0).toBeLessThanOrEqual(system.cells.size);
        if (step++ === failAt) throw unavailable();
      };
      writer.start();
      await world.advance(10_000);
      expect(system.cells.size).toBe(10);
      expect(system.marker).toEqual({ instance: TEST_INSTANCE, generation: 1_000, settled: 10 });
      expect(feed.settledMark('memory')).toBe(10);
    }
  });

  test('what a sink took and holds no mark of is written again after a failure: it may have gone with the connection', async () => {
    const { world, feed, sink, writer, system } = setUp();
    feed.put(cell('a'));
    writer.start();
    await world.advance(10);
    const failOver = system.takeCopy();
    sink.hook = (step) => {
      if (step === 'mark') throw unavailable();
    };
    feed.put(cell('b'));
    await world.advance(1);
    expect(system.cells.size).toBe(2);
    failOver();
    sink.hook = () => undefined;
    await world.advance(10_000);
    expect([system.cells.size, system.marker?.settled]).toEqual([2, 2]);
  });

  test('a step that hangs counts as failed after the timeout, and no second write runs beside it', async () => {
    const { world, feed, sink, writer } = setUp({ timings: { attemptTimeoutMs: 1_000, backoffMinMs: 10, backoffMaxMs: 100 } });
    feed.put(cell('a'));
    let release: () => void = () => undefined;
    sink.hook = (step) => (step === 'write' && sink.inFlightMax === 1 && sink.calls.filter((call) => call === 'write').length === 1 ? new Promise((resolve) => (release = resolve)) : undefined);
    writer.start();
    await world.advance(10_000);
    expect(writer.health()).toMatchObject({ healthy: false, settledMark: 0 });
    expect(writer.health().lastError).toContain('did not end within 1000 ms');
    expect(sink.inFlight).toBe(1);
    expect(sink.inFlightMax).toBe(1);
    release();
    await world.advance(2_000);
    expect(writer.health()).toMatchObject({ healthy: true, settledMark: 1 });
    expect(sink.inFlightMax).toBe(1);
  });

  test('a sink that hangs for ever leaves one timer behind and grows nothing', async () => {
    const { world, feed, sink, writer } = setUp({ timings: { attemptTimeoutMs: 1_000 } });
    sink.hook = (step) => (step === 'write' ? new Promise(() => undefined) : undefined);
    writer.start();
    for (let index = 0; index < 500; index++) {
      feed.put(cell('a', index));
      await world.advance(100);
    }
    expect(world.timerCount).toBe(1);
    expect(sink.inFlight).toBe(1);
  });

  test('a sink that forgot is noticed at the minute check and fed again from the start', async () => {
    const { world, feed, system, notices, writer } = setUp();
    feed.put(cell('a'), cell('b'));
    writer.start();
    await world.advance(10);
    system.forget();
    await world.advance(60_000);
    expect(system.cells.size).toBe(2);
    expect(notices).toContainEqual({ type: 'fed_again', sink: 'memory', fromMark: 0, reason: 'it holds no marker' });
    expect(feed.settled).toEqual([2, 0, 2]);
  });

  test('a sink restored from an older copy is fed again from the mark it has', async () => {
    const { world, feed, sink, system, writer } = setUp({ timings: { cellsPerWriteMax: 1 } });
    feed.put(cell('a'), cell('b'), cell('c'));
    writer.start();
    await world.advance(10);
    system.marker = { instance: TEST_INSTANCE, generation: 1_000, settled: 1 };
    sink.calls.length = 0;
    await world.advance(60_000);
    expect(sink.calls.filter((call) => call === 'write').length).toBe(2);
  });

  test('a sink that is flushed under load is noticed by the next mark, before that could hide it', async () => {
    const { world, feed, system, notices, writer } = setUp();
    feed.put(cell('quiet'));
    writer.start();
    await world.advance(10);
    system.forget();
    feed.put(cell('busy'));
    await world.advance(1_000);
    expect(notices.map((notice) => notice.type)).toEqual(['opened', 'failed', 'fed_again', 'opened', 'recovered']);
    expect(system.cells.size).toBe(2);
  });

  test('a sink that is flushed between its first write and its first mark is noticed as well', async () => {
    const { world, feed, sink, system, writer } = setUp({ timings: { cellsPerWriteMax: 1 } });
    let flushes = 1;
    sink.hook = (step) => {
      if (step === 'mark' && system.cells.size === 1 && flushes-- > 0) system.forget();
    };
    feed.put(cell('a'), cell('b'));
    writer.start();
    await world.advance(1_000);
    expect(system.cells.size).toBe(2);
  });

  test('a marker names no change that a power cut could take back: cells are written at once, the marker follows', async () => {
    const { world, feed, sink, system, writer } = setUp();
    feed.flush(0);
    feed.put(cell('a'), cell('b'));
    writer.start();
    await world.advance(1_000);
    expect([system.cells.size, system.marker?.settled, feed.settledMark('memory')]).toEqual([2, 0, 0]);
    feed.flush(1);
    await settle();
    expect([system.marker?.settled, feed.settledMark('memory'), writer.health().settledMark]).toEqual([1, 1, 1]);
    // What has no marker is written again after a failure: it may have gone with the connection.
    sink.hook = () => {
      throw unavailable();
    };
    feed.put(cell('c'));
    await world.advance(10);
    system.cells.clear();
    sink.hook = () => undefined;
    await world.advance(1_000);
    expect([...system.cells.keys()]).toHaveLength(2);
    feed.flush(3);
    await settle();
    expect([system.marker?.settled, feed.settledMark('memory')]).toEqual([3, 3]);
  });

  test('after a crash with an older durable mark it writes again from there', async () => {
    const system = new MemorySystem();
    const feed = new MemoryFeed();
    feed.put(cell('a'), cell('b'), cell('c'));
    feed.settle('memory', 1);
    system.marker = { instance: TEST_INSTANCE, generation: 1_000, settled: 3 };
    const { world, sink, writer } = setUp({ system, feed });
    writer.start();
    await world.advance(10);
    expect(system.cells.size).toBe(2);
    expect(sink.calls).toEqual(['open', 'write', 'mark']);
  });

  test('a mark beyond the newest change belongs to another life: everything is written', async () => {
    const feed = new MemoryFeed();
    feed.put(cell('a'));
    feed.settle('memory', 900);
    const { world, system, writer } = setUp({ feed });
    system.marker = { instance: TEST_INSTANCE, generation: 1_000, settled: 900 };
    writer.start();
    await world.advance(10);
    expect(system.cells.size).toBe(1);
  });

  test('a marker of a higher generation stops the writer for good, unhealthy and with the reason', async () => {
    const { world, feed, sink, system, notices, writer } = setUp();
    feed.put(cell('a'));
    writer.start();
    await world.advance(10);
    system.marker = { instance: TEST_INSTANCE, generation: 1_001, settled: 1 };
    await world.advance(60_000);
    sink.calls.length = 0;
    feed.put(cell('a', 2));
    await world.advance(600_000);
    expect(sink.calls).toEqual([]);
    expect(writer.health()).toMatchObject({ healthy: false, settledMark: 1 });
    expect(writer.health().lastError).toContain('generation 1001');
    expect(notices.at(-1)).toMatchObject({ type: 'stopped', error: { code: 'SINK_STALE' } });
    expect(world.timerCount).toBe(0);
    await writer.close(100);
    expect(sink.closedCount).toBe(1);
  });

  test('a bug in a sink is not repeated and not hidden', async () => {
    const { world, feed, sink, notices, writer } = setUp();
    feed.put(cell('a'));
    sink.hook = (step) => {
      if (step === 'write') throw new TypeError('x is not a function');
    };
    writer.start();
    await world.advance(60_000);
    expect(sink.calls.filter((call) => call === 'write').length).toBe(1);
    expect(notices.at(-1)).toMatchObject({ type: 'stopped' });
    expect(writer.health().lastError).toBe('bug, not tried again: x is not a function');
  });

  test('lag is the age of the oldest change that is not settled', async () => {
    const { world, feed, sink, writer } = setUp();
    writer.start();
    await world.advance(10);
    let release: () => void = () => undefined;
    sink.hook = (step) => (step === 'write' ? new Promise((resolve) => (release = resolve)) : undefined);
    feed.put(cell('a'));
    await world.advance(400);
    feed.put(cell('b'));
    await world.advance(100);
    expect(writer.health().lagMs).toBe(500);
    release();
    await settle();
    // Only `b` is left, which changed after the write had read its cells, 500 ms ago at most.
    expect(writer.health().lagMs).toBeLessThanOrEqual(500);
    await world.advance(500);
    release();
    await settle();
    expect(writer.health().lagMs).toBe(0);
  });
});

describe('closing a sink writer', () => {
  test('writes what is left at once, closes the sink and lets the feed go', async () => {
    const { world, feed, sink, writer } = setUp();
    sink.intervalMs = 60_000;
    writer.start();
    feed.put(cell('a'));
    await world.advance(10);
    feed.put(cell('b'));
    const closing = writer.close(1_000);
    await world.advance(0);
    await closing;
    expect(feed.settledMark('memory')).toBe(2);
    expect(sink.closedCount).toBe(1);
    expect(feed.listenerCount).toBe(0);
    expect(world.timerCount).toBe(0);
    expect(writer.health().healthy).toBe(false);
  });

  test('ends at the deadline though a write hangs, and settles nothing afterwards', async () => {
    const { world, feed, sink, writer } = setUp();
    writer.start();
    await world.advance(1);
    let release: () => void = () => undefined;
    sink.hook = (step) => (step === 'write' ? new Promise((resolve) => (release = resolve)) : undefined);
    feed.put(cell('a'));
    await world.advance(1);
    let closed = false;
    const closing = writer.close(1_000).then(() => (closed = true));
    await world.advance(1_000);
    expect(closed).toBe(true);
    await closing;
    release();
    await world.advance(100_000);
    expect(feed.settled).toEqual([]);
    expect(sink.calls.at(-1)).toBe('write');
  });

  test('does not wait for a sink that is away', async () => {
    const { world, sink, writer } = setUp();
    sink.system.away = true;
    writer.start();
    await world.advance(10_000);
    const closing = writer.close(5_000);
    await world.advance(0);
    await closing;
    expect(sink.closedCount).toBe(1);
    expect(world.timerCount).toBe(0);
  });

  test('a sink that is down does not keep another from its cells', async () => {
    const feed = new MemoryFeed();
    const down = setUp({ feed });
    const up = setUp({ feed });
    down.sink.system.away = true;
    down.writer.start();
    up.writer.start();
    feed.put(cell('a'));
    await down.world.advance(1_000);
    await up.world.advance(10);
    expect(up.system.cells.size).toBe(1);
    expect(down.system.cells.size).toBe(0);
  });
});
