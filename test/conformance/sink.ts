/** What every sink must do, whatever stands behind it. Called by a test file per sink, with a real system where there is one. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MergedCell } from '../../engine/core/cell.ts';
import { CellKind } from '../../engine/core/cell.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { Sink } from '../../engine/core/feed.ts';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import { SinkWriter } from '../../sinks/sink-writer.ts';
import { eventually } from '../peers/redis.ts';
import { cellOf, joined, MemoryFeed, TEST_INSTANCE } from './memory-feed.ts';

/** What an outsider reads of one result key's hour. */
export interface SeenHour {
  readonly generation: number;
  readonly revision: number;
  /** The first measure, summed over the hour's cells. */
  readonly total: number;
}

export interface SinkSystem {
  /** A sink of its own before the same system. */
  createSink(): Sink;
  readHour(resultKey: string, windowStartMs: number): Promise<SeenHour | null>;
  /** The system loses all it holds, without a word. */
  forget(): Promise<void>;
  /** Takes a copy of all the system holds, marker included. What it returns puts the copy in the place of all that is there then, without a word. */
  copy(): Promise<() => Promise<void>>;
  /** The system stops answering, in the rudest way it can. It keeps or loses what it holds as it likes. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** One object holds every key of an hour: a refusal of one is a refusal of all. */
  readonly keysFailTogether?: boolean;
  /** Writes of this result key fail while all others work; null ends that. */
  refuse(resultKey: string | null): Promise<void>;
  stop(): Promise<void>;
}

/** What a shared machine may add to a time that a sink was given. A step that hangs takes a minute. */
const SLACK_MS = 10_000;
const TIMINGS = { backoffMinMs: 20, backoffMaxMs: 100, markerCheckMs: 150 };
/** The current hour, so that no time to live is over. */
const HOUR_MS = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR;

const hourCell = (key: string, revision: number, total: number, country = 'DE', windowStartMs = HOUR_MS): MergedCell =>
  cellOf({ kind: CellKind.hour, windowStartMs, dimensions: joined(key, 'app', 'net', country, 'phone'), revision, measures: [total, 0, 0], updatedAtMs: HOUR_MS + revision });

export function sinkConformance(name: string, start: () => Promise<SinkSystem>): void {
  describe(`${name} keeps the sink contract`, () => {
    let system: SinkSystem;
    let feed: MemoryFeed;
    const ends: (() => Promise<void>)[] = [];

    beforeEach(async () => {
      system = await start();
      feed = new MemoryFeed();
    });
    afterEach(async () => {
      for (const end of ends.splice(0)) await end();
      await system.stop();
    });

    const newSink = (): Sink => {
      const sink = system.createSink();
      ends.push(() => sink.close());
      return sink;
    };
    const newWriter = (source = feed): SinkWriter => {
      const writer = new SinkWriter({ sink: system.createSink(), feed: source, timings: TIMINGS });
      ends.push(() => writer.close(1_000));
      writer.start();
      return writer;
    };
    const writeAll = (sink: Sink, source = feed): Promise<void> => sink.write(source.changedSince(0, 1_000), source);
    const expectSettled = (writer: SinkWriter): Promise<void> => eventually(() => expect(writer.health()).toMatchObject({ healthy: true, settledMark: feed.latest, lagMs: 0 }));

    test('a new system has no marker; one that was marked still has it after closing and opening', async () => {
      const sink = newSink();
      expect(await sink.open()).toBeNull();
      const marker = { instance: TEST_INSTANCE, generation: 1_000, settled: 7 };
      await sink.mark(marker);
      expect(await sink.check()).toEqual(marker);
      await sink.close();
      expect(await newSink().open()).toEqual(marker);
    });

    test('opens again after being opened, as the writer does after each failure', async () => {
      const sink = newSink();
      await sink.open();
      await sink.open();
      feed.put(hourCell('a', 1, 1));
      await writeAll(sink);
      expect(await system.readHour('a', HOUR_MS)).toMatchObject({ total: 1 });
    });

    test('writes a batch: every result key shows the sum of its cells', async () => {
      const sink = newSink();
      await sink.open();
      for (let index = 0; index < 300; index++) feed.put(hourCell(`key-${index}`, 2, index, 'DE'), hourCell(`key-${index}`, 3, 1, 'FR'));
      await writeAll(sink);
      for (const index of [0, 1, 150, 299]) expect(await system.readHour(`key-${index}`, HOUR_MS)).toEqual({ generation: 1_000, revision: 5, total: index + 1 });
    });

    test('the same batch again changes nothing and is no error', async () => {
      const sink = newSink();
      await sink.open();
      feed.put(hourCell('a', 4, 9));
      await writeAll(sink);
      const seen = await system.readHour('a', HOUR_MS);
      await writeAll(sink);
      expect(await system.readHour('a', HOUR_MS)).toEqual(seen);
    });

    test('an older revision or an older generation is refused in silence', async () => {
      const sink = newSink();
      await sink.open();
      feed.put(hourCell('a', 10, 100));
      await writeAll(sink);
      const older = new MemoryFeed();
      older.put(hourCell('a', 9, 1));
      await writeAll(sink, older);
      expect(await system.readHour('a', HOUR_MS)).toMatchObject({ revision: 10, total: 100 });
      const stale = new MemoryFeed();
      stale.generation = 999;
      stale.put(hourCell('a', 50, 2));
      await writeAll(sink, stale);
      expect(await system.readHour('a', HOUR_MS)).toMatchObject({ generation: 1_000, revision: 10, total: 100 });
    });

    test('a newer generation replaces a higher revision', async () => {
      const sink = newSink();
      await sink.open();
      feed.put(hourCell('a', 10, 100));
      await writeAll(sink);
      const promoted = new MemoryFeed();
      promoted.generation = 1_001;
      promoted.put(hourCell('a', 5, 50));
      await writeAll(sink, promoted);
      expect(await system.readHour('a', HOUR_MS)).toEqual({ generation: 1_001, revision: 5, total: 50 });
    });

    test('where a part of a batch fails, the rest is written, the failure is raised, and a repeat completes it', async () => {
      const sink = newSink();
      await sink.open();
      feed.put(hourCell('a', 1, 1), hourCell('b', 1, 2), hourCell('c', 1, 3));
      await system.refuse('b');
      await expect(writeAll(sink)).rejects.toMatchObject({ name: 'EngineError', retryable: true });
      if (system.keysFailTogether !== true) {
        expect(await system.readHour('a', HOUR_MS)).toMatchObject({ total: 1 });
        expect(await system.readHour('c', HOUR_MS)).toMatchObject({ total: 3 });
      }
      expect(await system.readHour('b', HOUR_MS)).toBeNull();
      await system.refuse(null);
      await writeAll(sink);
      expect(await system.readHour('b', HOUR_MS)).toMatchObject({ total: 2 });
    });

    test('a system that is away raises a retryable fault from every step', async () => {
      const sink = newSink();
      await sink.open();
      feed.put(hourCell('a', 1, 1));
      await system.goAway();
      await expect(writeAll(sink)).rejects.toSatisfy((error) => error instanceof EngineError && error.retryable);
      await expect(sink.open()).rejects.toSatisfy((error) => error instanceof EngineError && error.retryable);
      await expect(sink.check()).rejects.toSatisfy((error) => error instanceof EngineError && error.retryable);
    });

    test('what changed while the system was away is there soon after it is back', async () => {
      const writer = newWriter();
      feed.put(hourCell('a', 1, 1), hourCell('b', 1, 5));
      await expectSettled(writer);
      await system.goAway();
      for (let revision = 2; revision <= 50; revision++) feed.put(hourCell('a', revision, revision));
      await eventually(() => expect(writer.health()).toMatchObject({ healthy: false, lastError: expect.stringMatching(/./) as string }));
      await system.comeBack();
      await expectSettled(writer);
      expect(await system.readHour('a', HOUR_MS)).toMatchObject({ revision: 50, total: 50 });
      expect(await system.readHour('b', HOUR_MS)).toMatchObject({ revision: 1, total: 5 });
    });

    test('a system that forgot everything while nothing changed is fed again', async () => {
      const writer = newWriter();
      feed.put(hourCell('a', 3, 3));
      await expectSettled(writer);
      await system.forget();
      await eventually(async () => expect(await system.readHour('a', HOUR_MS)).toMatchObject({ revision: 3, total: 3 }));
    });

    test('a system that forgot everything under load is fed again, with what no longer changes too', async () => {
      // No marker check comes in time: the mark itself must notice, or it would hide the loss.
      const writer = new SinkWriter({ sink: system.createSink(), feed, timings: { ...TIMINGS, markerCheckMs: 600_000 } });
      ends.push(() => writer.close(1_000));
      writer.start();
      feed.put(hourCell('quiet', 3, 3));
      await expectSettled(writer);
      let revision = 0;
      const timer = setInterval(() => feed.put(hourCell('busy', ++revision, revision)), 2);
      ends.push(async () => clearInterval(timer));
      await eventually(() => expect(writer.health().writes).toBeGreaterThan(5));
      await system.forget();
      await eventually(async () => expect(await system.readHour('quiet', HOUR_MS)).toMatchObject({ revision: 3, total: 3 }));
    });

    test('a system that was restored from an older copy is fed again, with what no longer changes', async () => {
      const writer = newWriter();
      feed.put(hourCell('old', 1, 1));
      await expectSettled(writer);
      const restore = await system.copy();
      feed.put(hourCell('quiet', 3, 3));
      await expectSettled(writer);
      await restore();
      await eventually(async () => expect(await system.readHour('quiet', HOUR_MS)).toMatchObject({ revision: 3, total: 3 }));
      expect(await system.readHour('old', HOUR_MS)).toMatchObject({ revision: 1, total: 1 });
    });

    test('a system that was restored from an older copy under load is fed again, before a new mark can hide it', async () => {
      const writer = new SinkWriter({ sink: system.createSink(), feed, timings: { ...TIMINGS, markerCheckMs: 600_000 } });
      ends.push(() => writer.close(1_000));
      writer.start();
      feed.put(hourCell('old', 1, 1));
      await expectSettled(writer);
      const restore = await system.copy();
      feed.put(hourCell('quiet', 3, 3));
      await expectSettled(writer);
      await restore();
      feed.put(hourCell('busy', 1, 1, 'FR', HOUR_MS - MS_PER_HOUR));
      await expectSettled(writer);
      expect(await system.readHour('quiet', HOUR_MS)).toMatchObject({ revision: 3, total: 3 });
    });

    test('closing while a write is under way ends in time, and the next writer completes the rest', async () => {
      const writer = newWriter();
      const timer = setInterval(() => feed.put(hourCell(`key-${feed.latest}`, 1, 1)), 1);
      await eventually(() => expect(writer.health().writes).toBeGreaterThan(3));
      const startedMs = performance.now();
      await writer.close(2_000);
      expect(performance.now() - startedMs).toBeLessThan(2_000 + SLACK_MS);
      clearInterval(timer);
      const settled = feed.settledMark(writer.health().name);
      expect(settled).toBeGreaterThan(0);
      const next = newWriter();
      await expectSettled(next);
      for (let index = 0; index < feed.latest; index++) expect(await system.readHour(`key-${index}`, HOUR_MS)).toMatchObject({ total: 1 });
    });

    test('closes while the system is away, in time and without raising', async () => {
      const writer = newWriter();
      feed.put(hourCell('a', 1, 1));
      await expectSettled(writer);
      await system.goAway();
      feed.put(hourCell('a', 2, 2));
      const startedMs = performance.now();
      await writer.close(1_000);
      expect(performance.now() - startedMs).toBeLessThan(1_000 + SLACK_MS);
    });
  });
}
