/** Threads that die under load: replaced, nothing lost, the others went on. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import { ActorThreads } from '../../../engine/runtime/actor-threads.ts';
import { PoisonList } from '../../../engine/runtime/poison.ts';
import { Niceness } from '../../../engine/threads/niceness.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import { message, type TestDaemon } from '../../support/daemon.ts';
import { LATENCY_MS_P99_MAX, Load, conserved, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { killOnce, killThread, restartsOf } from '../../support/thread-deaths.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

async function open(threads: number, ingestPort?: number): Promise<TestDaemon> {
  return started({ dataDir: scratch.path, env: { MILLRACE_INGEST_PORT: String(ingestPort ?? (await freePort())), MILLRACE_FAULT_INJECTION: 'true', MILLRACE_THREADS_ACTORS: String(threads), MILLRACE_CHECKPOINT_INTERVAL_MS: '1000' } });
}

it.skipIf(process.platform !== 'linux')('actor threads give way to all others, and they alone', async () => {
  const own = await open(2);
  const tasks = `/proc/${own.child.pid}/task`;
  // The name may hold spaces; niceness is the 17th field behind it.
  const nicenessOf = (thread: string): number => Number(readFileSync(`${tasks}/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]);
  const main = nicenessOf(String(own.child.pid));
  const given = readdirSync(tasks).map((thread) => nicenessOf(thread) - main);
  expect(given.filter((niceness) => niceness !== 0)).toEqual([Niceness.actor, Niceness.actor]);
});

describe('a thread that dies under load', () => {
  it.each([1, 3])('of %i actor threads is replaced from its checkpoint; no total is lost or doubled', async (threads) => {
    const own = await open(threads);
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'actors', campaigns: 50 });
    const KILLS = 6;
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(250 + 130 * kill);
      await killOnce(own, String(kill % threads));
    }
    const report = await load.stop();
    // Acknowledging does not wait for folding: the door never noticed.
    expect([...report.refusals, ...report.failures]).toEqual([]);
    expect(report.latencyMsP99).toBeLessThan(LATENCY_MS_P99_MAX);
    await expectExact(own, 'actors', report);
    const { conservation } = await own.pipeline();
    expect(conservation).toEqual({ received: report.acknowledged, accepted: report.acknowledged, duplicate: 0, late: 0, rejected: 0 });
    expect(await own.stop()).toBe(0);
    await expectExact(await started({ dataDir: scratch.path }), 'actors', report);
  });

  it('leaves the other threads folding: their partitions become visible while it is away', async () => {
    const own = await open(2);
    const watermarksOf = async (): Promise<readonly number[]> => (await own.pipeline()).partitions.map((partition) => partition.offset);
    await own.push(message({ appsflyer_id: 'first' }));
    await own.settled(1);
    // Deaths in a row make the pauses before a restart grow: long enough to look.
    for (let kill = 0; kill < 5; kill++) await killOnce(own, '0');
    const before = await watermarksOf();
    await own.until(async () => (await watermarksOf()).slice(16).every((offset, at) => offset > (before[16 + at] as number)), 30_000, 'the other thread to go on');
    expect((await fetch(`${own.admin}/v1/metrics/hourly`)).status).toBe(200);
    await own.until(async () => (await watermarksOf()).every((offset, at) => offset > (before[at] as number)), 60_000, 'the dead thread to be back');
  });

  it.each(['that was set', 'that the system chose'])('of the door is replaced on the same port, one %s; what was acknowledged is counted once', async (port) => {
    const own = await open(1, port === 'that was set' ? undefined : 0);
    const load = new Load({ url: own.ingest, requestsPerSecond: 40, batch: 20, name: 'door', campaigns: 20 });
    for (let kill = 0; kill < 3; kill++) {
      await pause(600);
      await killOnce(own, 'ingress');
      const probe = message({ appsflyer_id: `kill-${kill}`, af_c_id: 'probe' });
      await own.until(async () => (await own.push(probe).catch(() => null))?.status === 200, 60_000, 'the door to be open again');
    }
    const report = await load.stop();
    await expectExact(own, 'door', report);
    const { conservation } = await own.pipeline();
    expect(conserved(conservation)).toBe(true);
    expect(conservation.accepted).toBe(report.acknowledged + 3);
    expect(own.child.exitCode).toBeNull();
    expect(await own.stop()).toBe(0);
  });

  it('cannot be asked for unless fault injection is on', async () => {
    const daemon = await started({ dataDir: scratch.path });
    expect(await killThread(daemon, '0')).toBe(404);
    await pause(100);
    expect(await restartsOf(daemon)).toEqual({ actors: 0, ingress: 0 });
  });
});

/** Stands in for the actor thread: says it has restored, then dies as its settings say, naming the record it was at. */
const DYING_THREAD = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { settings, words, lane, thread, poison } = workerData;
  parentPort.postMessage({ type: 'restored', partitions: [{ partition: lane.first, offsets: [0], sequence: 0 }] });
  const isPoison = poison.some(([sequence, index]) => sequence === settings.record[0] && index === settings.record[1]);
  if (isPoison) parentPort.on('message', () => parentPort.close());
  else {
    new Float64Array(words, 640 + thread * 24, 3).set([...settings.record, settings.folding ? 1 : 0]);
    if (settings.fault) parentPort.postMessage({ type: 'failed', error: { code: 'STATE_WRITE_FAILED', message: 'the store said no' } });
    setTimeout(() => { throw Object.assign(new Error('the fold broke'), { code: settings.code }); }, 5);
  }
`;

describe('a record that kills its thread', () => {
  async function deaths(settings: { record: [number, number]; folding: boolean; fault: boolean; code?: string }): Promise<{ restarts: number; verdicts: readonly (readonly [number, number])[]; onDisk: boolean }> {
    const module = join(scratch.path, 'dying-thread.mjs');
    writeFileSync(module, DYING_THREAD);
    const words = SharedWords.create(1);
    const poison = new PoisonList(scratch.path);
    const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const threads = new ActorThreads({ module: pathToFileURL(module), settings, partitionCount: 1, threads: 1, words, poison, clock: systemClock, stallTimeoutMs: 30_000, stallsBefore: 0, log: quiet, onMessage: () => undefined, onDeath: () => undefined, onFatal: () => undefined });
    await threads.start();
    const endMs = performance.now() + 60_000;
    while (threads.restarts < 4 && performance.now() < endMs && !(poison.verdicts.length > 0 && threads.restarts === 3)) await pause(20);
    await pause(600);
    // One that is not poison dies on and on.
    const restarts = Math.min(threads.restarts, 4);
    words.requestStop();
    threads.fault(0, 'die');
    await threads.stop(1_000);
    return { restarts, verdicts: poison.verdicts, onDisk: existsSync(join(scratch.path, 'poison.json')) };
  }

  it('is poison after the third death, on disk, and the next thread knows', async () => {
    expect(await deaths({ record: [7, 3], folding: true, fault: false })).toEqual({ restarts: 3, verdicts: [[7, 3]], onDisk: true });
    expect(new PoisonList(scratch.path).verdicts).toEqual([[7, 3]]);
  });

  it('is not poison when the store failed, or when the thread was between two records', async () => {
    expect(await deaths({ record: [7, 3], folding: true, fault: true })).toMatchObject({ restarts: 4, verdicts: [], onDisk: false });
    expect(await deaths({ record: [7, 3], folding: false, fault: false })).toMatchObject({ restarts: 4, verdicts: [], onDisk: false });
  });

  it('is not poison when the heap was full: it is the state that fills it', async () => {
    expect(await deaths({ record: [7, 3], folding: true, fault: false, code: 'ERR_WORKER_OUT_OF_MEMORY' })).toMatchObject({ restarts: 4, verdicts: [], onDisk: false });
  });
});
