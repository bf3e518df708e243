import { describe, expect, it } from 'vitest';
import { STALL_ROW_MS, Watchdog } from '../../../engine/runtime/watchdog.ts';
import { Stage } from '../../../engine/threads/progress.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';

const TIMEOUT_MS = 30_000;

function world(threads = 1, stallsBefore = 0) {
  let timeMs = 0;
  const words = SharedWords.create(threads);
  const progress = Array.from({ length: threads }, (_, thread) => words.progress(thread));
  const watchdog = new Watchdog({ threads: progress, clock: { nowMs: () => timeMs, monotonicMs: () => timeMs }, timeoutMs: TIMEOUT_MS, stallsBefore });
  /** Checks as main does for `ms`; resolves to what was found, with the time since the call. */
  const run = (ms: number, each: () => void = () => undefined) => {
    const startMs = timeMs;
    const found = [];
    while (timeMs - startMs < ms) {
      timeMs += watchdog.intervalMs;
      each();
      for (const stall of watchdog.check()) found.push({ ...stall, afterMs: timeMs - startMs });
    }
    return found;
  };
  for (let thread = 0; thread < threads; thread++) watchdog.watch(thread);
  return { watchdog, progress, run, jump: (ms: number) => (timeMs += ms) };
}

describe('the watchdog', () => {
  it('names the thread that makes no step for the timeout, and where it stood; not the ones that move', () => {
    const { progress, run } = world(3);
    progress[1]?.enter(Stage.restoring);
    const found = run(TIMEOUT_MS + 2_000, () => {
      progress[0]?.beat();
      progress[2]?.beat();
    });
    expect(found).toMatchObject([{ thread: 1, stage: 'restoring', stallsInARow: 1 }]);
    expect(found[0]?.afterMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(found[0]?.afterMs).toBeLessThanOrEqual(TIMEOUT_MS + 2_000);
  });

  it('finds a thread that never made a first step', () => {
    expect(world().run(TIMEOUT_MS + 1_000)).toMatchObject([{ thread: 0, stage: 'starting' }]);
  });

  it('lets steps be as far apart as just below the timeout, for ever', () => {
    const { progress, run } = world();
    for (let step = 0; step < 20; step++) {
      progress[0]?.beat();
      expect(run(TIMEOUT_MS - 1_000)).toEqual([]);
    }
  });

  it('tells a stall once, and watches again when the thread is started again', () => {
    const { watchdog, run } = world();
    expect(run(4 * TIMEOUT_MS)).toHaveLength(1);
    watchdog.watch(0);
    expect(run(2 * TIMEOUT_MS - 1_000)).toEqual([]);
    expect(run(2_000)).toHaveLength(1);
  });

  it('does not watch a thread that has ended', () => {
    const { watchdog, run } = world();
    watchdog.ignore(0);
    expect(run(3 * TIMEOUT_MS)).toEqual([]);
  });

  it('waits twice as long after each stall in a row, up to a quarter of an hour, so that one slow call ends some time', () => {
    const { watchdog, run } = world();
    const waits = Array.from({ length: 8 }, () => {
      watchdog.watch(0);
      return Math.round((run(STALL_ROW_MS / 2)[0]?.afterMs ?? 0) / 1_000);
    });
    // The pauses of half an hour are no new row.
    expect(waits).toEqual([30, 60, 120, 240, 480, 900, 900, 900]);
  });

  it('goes on with the row of the lives before', () => {
    const { run } = world(1, 2);
    expect(run(4 * TIMEOUT_MS + 1_000)).toMatchObject([{ stallsInARow: 3, afterMs: 4 * TIMEOUT_MS }]);
  });

  it('forgets a row after an hour without a stall', () => {
    const { watchdog, progress, run } = world();
    run(TIMEOUT_MS + 1_000);
    watchdog.watch(0);
    expect(run(STALL_ROW_MS, () => progress[0]?.beat())).toEqual([]);
    expect(run(TIMEOUT_MS + 1_000)).toMatchObject([{ stallsInARow: 1 }]);
  });

  it('does not count time in which main itself stood still: the process was suspended, and its threads with it', () => {
    const { progress, run, jump } = world();
    progress[0]?.beat();
    run(1_000);
    jump(10 * TIMEOUT_MS);
    expect(run(TIMEOUT_MS / 2)).toEqual([]);
  });
});
