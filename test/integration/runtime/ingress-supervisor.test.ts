/** How the ingress thread is replaced, with threads that fail as they are told. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import type { EngineError } from '../../../engine/core/errors.ts';
import { IngressSupervisor } from '../../../engine/runtime/ingress-supervisor.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';

/** Says what it was started with, as its figures; listens in the lives that `listensIn` names, and raises a full disk in all others. */
const FAILING_THREAD = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { provenOffsets, settings, words } = workerData;
  const lives = new Int32Array(settings.lives);
  const life = ++lives[0];
  parentPort.postMessage({ type: 'stats', stats: provenOffsets[0] });
  if (settings.listensIn.includes(life)) {
    new BigInt64Array(words)[16] = BigInt(settings.publishes);
    parentPort.postMessage({ type: 'listening', door: 'node', fallbackReason: null, port: 1, host: '' });
    parentPort.on('message', () => parentPort.close());
    if (life < settings.listensIn.at(-1)) setTimeout(() => { throw new Error('died'); }, 20);
  } else {
    parentPort.postMessage({ type: 'failed', error: { code: 'DISK_FULL', message: 'no space for the journal' } });
    setTimeout(() => { throw new Error('no space'); }, 5);
  }
`;

describe('the ingress thread', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-supervisor-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs until the last life of `listensIn` listens, or until it is given up. */
  async function lives(listensIn: readonly number[], publishes: number): Promise<{ proven: number[]; fatal: EngineError | null; doors: string[] }> {
    const module = join(directory, 'failing-thread.mjs');
    writeFileSync(module, FAILING_THREAD);
    const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const settings = { lives: new SharedArrayBuffer(4), listensIn, publishes };
    const proven: number[] = [];
    const doors: string[] = [];
    const fatal = await new Promise<EngineError | null>((resolve) => {
      let listened = 0;
      const supervisor = new IngressSupervisor<typeof settings, number, object>({
        module: pathToFileURL(module),
        settings,
        words: SharedWords.create(1),
        thread: 0,
        threads: 1,
        onBegun: () => undefined,
        clock: systemClock,
        stallTimeoutMs: 60_000,
        stallsBefore: 0,
        log: quiet,
        onOpened: () => undefined,
        onListening: () => {
          doors.push('open');
          if (++listened === listensIn.length) void supervisor.drain(5_000).then(() => { resolve(null); });
        },
        onClosed: () => doors.push('closed'),
        onStats: (offset) => proven.push(offset),
        onCosts: () => Promise.reject(new Error('no report was sent')),
        onFatal: resolve,
      });
      supervisor.start([12_345]);
    });
    return { proven, fatal, doors };
  }

  test('that fails before its journal is open is started again with what the checkpoints prove', async () => {
    expect(await lives([3], 0)).toEqual({ proven: [12_345, 12_345, 12_345], fatal: null, doors: ['closed', 'closed', 'open'] });
  });

  test('that cannot start at all is given up with its reason', async () => {
    const { proven, fatal } = await lives([99], 0);
    expect(fatal?.code).toBe('DISK_FULL');
    expect(proven).toHaveLength(6);
  });

  test('that has served waits for a full disk as long as it takes, with what it had published', async () => {
    const { proven, fatal } = await lives([1, 9], 20_000);
    expect(fatal).toBeNull();
    expect(proven).toEqual([12_345, ...Array.from({ length: 8 }, () => 20_000)]);
  });

  test('that ends while records of the daemon\'s own are under way says that they may be sent again', async () => {
    const module = join(directory, 'dying-thread.mjs');
    writeFileSync(
      module,
      `
        import { parentPort } from 'node:worker_threads';
        parentPort.postMessage({ type: 'listening', door: 'node', fallbackReason: null, port: 1, host: '' });
        let requests = 0;
        parentPort.on('message', ({ type, id, records }) => {
          if (type === 'drain') parentPort.close();
          else if (++requests === 2) throw new Error('died');
          else parentPort.postMessage({ type: 'appended', id, answer: { accepted: records.length, rejected: [] } });
        });
      `,
    );
    let supervisor: IngressSupervisor<object, number, object> | null = null;
    const listening = new Promise<void>((resolve) => {
      supervisor = new IngressSupervisor<object, number, object>({
        module: pathToFileURL(module),
        settings: {},
        words: SharedWords.create(1),
        thread: 0,
        threads: 1,
        onBegun: () => undefined,
        clock: systemClock,
        stallTimeoutMs: 60_000,
        stallsBefore: 0,
        log: { info: () => undefined, warn: () => undefined, error: () => undefined },
        onOpened: () => undefined,
        onListening: () => {
          resolve();
        },
        onClosed: () => undefined,
        onStats: () => undefined,
        onCosts: () => Promise.reject(new Error('no report was sent')),
        onFatal: () => undefined,
      });
      supervisor.start([0]);
    });
    await listening;
    const thread = supervisor as unknown as IngressSupervisor<object, number, object>;
    const append = (): Promise<unknown> => thread.appendRecords(5, [Buffer.from('{}')]).catch((error: unknown) => error);
    expect(await append()).toEqual({ accepted: 1, rejected: [] });
    expect(await append()).toMatchObject({ code: 'THREAD_DIED', retryable: true });
    expect(await append()).toMatchObject({ code: 'DOOR_CLOSED', retryable: true });
    await thread.drain(5_000);
  });
});
