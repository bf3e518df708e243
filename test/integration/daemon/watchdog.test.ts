/** Threads that hang: noticed, ended and replaced while the rest goes on; where that fails, the process ends and starts again. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import { ActorThreads } from '../../../engine/runtime/actor-threads.ts';
import { lanesOf } from '../../../engine/runtime/lanes.ts';
import { PoisonList } from '../../../engine/runtime/poison.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import { runCli, type DaemonOptions, type TestDaemon } from '../../support/daemon.ts';
import { Load, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { restartsOf } from '../../support/thread-deaths.ts';
import { END_MS_MAX, useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

/** An idle thread beats each second: one that a busy machine keeps waiting for a while is none that hangs. */
const STALL_TIMEOUT_MS = 5_000;
/** For what a hanging thread costs: its patience, its end, and a start of the daemon. */
const RECOVERY_MS_MAX = 90_000;

async function open(threads: number, options: Partial<DaemonOptions> = {}): Promise<TestDaemon> {
  return started({
    dataDir: scratch.path,
    ...options,
    env: {
      MILLRACE_INGEST_PORT: String(await freePort()),
      MILLRACE_FAULT_INJECTION: 'true',
      MILLRACE_THREADS_ACTORS: String(threads),
      MILLRACE_THREADS_STALL_TIMEOUT_MS: String(STALL_TIMEOUT_MS),
      MILLRACE_CHECKPOINT_INTERVAL_MS: '1000',
      ...options.env,
    },
  });
}

async function hang(own: TestDaemon, thread: string, where: 'script' | 'native' = 'script'): Promise<void> {
  expect((await fetch(`${own.admin}/v1/faults/hang-thread?thread=${thread}&in=${where}`, { method: 'POST' })).status).toBe(200);
}

const metricOf = async (own: TestDaemon, name: string): Promise<number> => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(`${own.admin}/metrics`)).text())?.[1]);

describe('an actor thread that hangs under load', () => {
  it.each([1, 3])('of %i is named, counted and replaced from its checkpoint; no total is lost or doubled, no record is blamed', async (threads) => {
    const own = await open(threads);
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'stalls', campaigns: 50 });
    await pause(700);
    const thread = threads - 1;
    await hang(own, String(thread));
    await own.until(async () => (await restartsOf(own)).actors === 1, RECOVERY_MS_MAX, 'the thread to be replaced');
    await pause(500);
    const report = await load.stop();
    expect([...report.refusals, ...report.failures]).toEqual([]);
    await expectExact(own, 'stalls', report);
    expect(await metricOf(own, 'millrace_actor_stalls_total')).toBe(1);
    const line = own.logs.find(({ msg }) => msg.startsWith('actor thread makes no progress'));
    expect(line).toMatchObject({ level: 50, thread, partitions: lanesOf(32, threads)[thread], stage: 'idle', stallsInARow: 1 });
    expect(await own.stop()).toBe(0);
  });

  it('is not one that is idle, that recovers, or that works: nothing is replaced in three times the timeout', async () => {
    const own = await open(2);
    await pause(1.5 * STALL_TIMEOUT_MS);
    const load = new Load({ url: own.ingest, requestsPerSecond: 100, batch: 20, name: 'busy', campaigns: 50 });
    await pause(1.5 * STALL_TIMEOUT_MS);
    const report = await load.stop();
    await expectExact(own, 'busy', report);
    expect(await metricOf(own, 'millrace_actor_stalls_total')).toBe(0);
    expect(await restartsOf(own)).toEqual({ actors: 0, ingress: 0 });
  });
});

/**
 * Stands in for the actor thread: hangs in its first life at the stage its settings name, until it is woken or for ever; lives on in the
 * second. Leaves a file when it leaves by itself.
 */
const HANGING_THREAD = `
  import { writeFileSync, existsSync } from 'node:fs';
  import { parentPort, workerData } from 'node:worker_threads';
  const { settings, words, lane } = workerData;
  const progress = new Int32Array(words, 640 + 24, 4);
  const again = existsSync(settings.mark);
  writeFileSync(settings.mark, '');
  Atomics.store(progress, 1, settings.stage);
  if (!again) {
    new Float64Array(words, 640, 3).set([7, 3, 1]);
    Atomics.wait(new Int32Array(settings.woken), 0, 0);
  }
  parentPort.postMessage({ type: 'restored', partitions: [{ partition: lane.first, offsets: [0], sequence: 0 }] });
  const turn = setInterval(() => {
    Atomics.add(progress, 0, 1);
    if (Atomics.load(progress, 2) === 0 && Atomics.load(new Int32Array(words), 1) === 0) return;
    clearInterval(turn);
    writeFileSync(settings.mark + '-left', '');
    parentPort.postMessage({ type: 'stopped' });
    parentPort.close();
  }, 20);
  parentPort.on('message', () => undefined);
`;

describe('a thread that hangs before it has told anything', () => {
  const OPENING = 1;
  let line: object | null = null;

  /** `wakes`: the thread goes on as soon as its stall was told. */
  function threadsOf({ wakes }: { wakes: boolean }): { threads: ActorThreads<object>; words: SharedWords; poison: PoisonList; hasLeft: () => boolean } {
    const module = join(scratch.path, 'hanging-thread.mjs');
    writeFileSync(module, HANGING_THREAD);
    const words = SharedWords.create(1);
    const poison = new PoisonList(scratch.path);
    const mark = join(scratch.path, 'lived');
    const woken = new SharedArrayBuffer(4);
    line = null;
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (facts: object, text: string) => {
        if (!text.startsWith('actor thread makes no progress')) return;
        line = facts;
        if (!wakes) return;
        Atomics.store(new Int32Array(woken), 0, 1);
        Atomics.notify(new Int32Array(woken), 0);
      },
    };
    const threads = new ActorThreads<object>({
      module: pathToFileURL(module),
      settings: { woken, stage: OPENING, mark },
      partitionCount: 4,
      threads: 1,
      words,
      poison,
      clock: systemClock,
      stallTimeoutMs: 2_000,
      stallsBefore: 0,
      log,
      onMessage: () => undefined,
      onDeath: () => undefined,
      onFatal: () => undefined,
    });
    return { threads, words, poison, hasLeft: () => existsSync(`${mark}-left`) };
  }

  it('is replaced, and the start of the daemon goes on; the record it was at is not blamed', async () => {
    const { threads, words, poison, hasLeft } = threadsOf({ wakes: false });
    let blamed = 0;
    poison.death = () => {
      blamed++;
      return false;
    };
    expect(await threads.start()).toEqual([0]);
    expect({ stalls: threads.stalls, restarts: threads.restarts, blamed }).toEqual({ stalls: 1, restarts: 1, blamed: 0 });
    expect(line).toMatchObject({ thread: 0, partitions: { first: 0, count: 4 }, stage: 'opening' });
    expect(hasLeft()).toBe(false);
    words.requestStop();
    expect(await threads.stop(30_000)).toBe(true);
  });

  it('leaves by itself when it moves again and finds that it was asked to', async () => {
    const { threads, words, hasLeft } = threadsOf({ wakes: true });
    await threads.start();
    const endMs = performance.now() + 30_000;
    while (threads.restarts === 0 && performance.now() < endMs) await pause(20);
    expect({ stalls: threads.stalls, restarts: threads.restarts, left: hasLeft() }).toEqual({ stalls: 1, restarts: 1, left: true });
    words.requestStop();
    expect(await threads.stop(30_000)).toBe(true);
  });
});

describe('a thread inside a native call that never returns', () => {
  const threadOf = (own: TestDaemon) => own.logs.find(({ msg, code }) => code === 'THREAD_STUCK' && msg.startsWith('actor thread'));

  it('ends the daemon, which its parent starts again with more patience; what was acknowledged is counted once', async () => {
    const own = await open(2, { supervise: true });
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'stuck', campaigns: 50 });
    await pause(1_000);
    const first = await own.pipeline();
    await hang(own, '1', 'native');
    await own.until(() => own.logs.filter(({ msg }) => msg === 'millrace is up').length === 2, RECOVERY_MS_MAX, 'the daemon to be started again');
    await pause(500);
    const report = await load.stop();
    await own.up();
    expect(threadOf(own)).toMatchObject({ level: 50, where: { thread: 1, firstPartition: 16, lastPartition: 31 } });
    expect(own.logs.find(({ msg }) => msg.startsWith('the daemon died'))).toMatchObject({ code: 6 });
    expect((await own.pipeline())['instance']).toBe(first['instance']);
    await expectExact(own, 'stuck', report);
    // The next stall of the row is waited for twice as long.
    const startMs = performance.now();
    await hang(own, '0');
    await own.until(async () => (await restartsOf(own)).actors === 1, RECOVERY_MS_MAX, 'the thread to be replaced');
    expect(performance.now() - startMs).toBeGreaterThan(2 * STALL_TIMEOUT_MS - 500);
    expect(await own.stop()).toBe(0);
  });

  it('does not hold up a shutdown: the daemon ends within ten seconds, its parent with 0, and the next life counts everything', async () => {
    const own = await open(2, { supervise: true });
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'last', campaigns: 50 });
    await pause(1_000);
    const report = await load.stop();
    await hang(own, '1', 'native');
    const startMs = performance.now();
    expect(await own.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(END_MS_MAX);
    expect(own.logs.find(({ msg }) => msg.startsWith('an actor thread did not leave'))).toMatchObject({ thread: 1, ended: false });
    await expectExact(await started({ dataDir: scratch.path }), 'last', report);
  });

  it('does not hold up a shutdown without a parent either, which then sees the signal', async () => {
    const own = await open(1);
    await hang(own, '0', 'native');
    own.child.kill('SIGTERM');
    expect(await own.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });
});

describe('a door that hangs', () => {
  it('restarts the daemon, on the same port; what was acknowledged is counted once', async () => {
    const own = await open(1, { supervise: true });
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'gone', campaigns: 50 });
    await pause(1_000);
    await hang(own, 'ingress');
    await own.until(() => own.logs.filter(({ msg }) => msg === 'millrace is up').length === 2, RECOVERY_MS_MAX, 'the daemon to be started again');
    await pause(500);
    const report = await load.stop();
    await own.up();
    expect(own.logs.find(({ code }) => code === 'THREAD_STUCK')).toMatchObject({ where: { thread: 'ingress' } });
    expect(own.logs.find(({ msg }) => msg.startsWith('the daemon died'))).toMatchObject({ code: 6 });
    await expectExact(own, 'gone', report);
    expect(await own.stop()).toBe(0);
  });

  it.each(['uws', 'node'])('(%s) does not keep the daemon from ending in order: actors and sinks drain, the exit code is 0, nothing acknowledged is missing', async (door) => {
    const own = await open(2, { supervise: true, env: { MILLRACE_DOOR: door, MILLRACE_CHECKPOINT_INTERVAL_MS: '600000' } });
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'door', campaigns: 50 });
    await pause(1_000);
    const report = await load.stop();
    const { journal } = await own.pipeline();
    // A connection that is open when the thread stops.
    void fetch(`${own.ingest}/v1/appsflyer/push`, { method: 'POST', body: '{}' }).catch(() => undefined);
    await hang(own, 'ingress');
    const startMs = performance.now();
    expect(await own.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(END_MS_MAX);
    expect(own.logs.filter(({ level }) => level >= 50).map(({ msg }) => msg)).toEqual(['the ingress thread did not leave in time; requests in it stay unanswered and are sent again']);
    expect(own.logs.find(({ msg }) => msg === 'stopped')).toMatchObject({ clean: false });
    expect(own.stderr).not.toMatch(/abort|assert|uv_/i);
    const { partitions } = JSON.parse((await runCli(['inspect', '--json'], { MILLRACE_DATA_DIR: scratch.path })).stdout) as { partitions: readonly { offset: number }[] };
    expect(partitions.filter(({ offset }) => offset < journal.durable_offset)).toEqual([]);
    await expectExact(await started({ dataDir: scratch.path }), 'door', report);
  });
});
