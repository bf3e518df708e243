import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { SideThread } from '../../../engine/runtime/side-thread.ts';
import { areThreadsRunning } from '../../../engine/threads/worker.ts';

const MODULE = `
import { parentPort, workerData } from 'node:worker_threads';
parentPort.on('message', (message) => {
  if (message === 'die') throw new Error('a bug');
  if (message === 'stop') parentPort.close();
  if (message === 'hang') for (;;);
});
parentPort.postMessage('hello ' + workerData);`;

describe('a thread beside the pipeline', () => {
  let directory = '';
  let thread: SideThread<string, string> | null = null;
  const heard: string[] = [];
  const deaths: { message: string; pauseMs: number }[] = [];

  function open(): SideThread<string, string> {
    directory = mkdtempSync(join(tmpdir(), 'millrace-side-'));
    const path = join(directory, 'side.mjs');
    writeFileSync(path, MODULE);
    heard.length = deaths.length = 0;
    thread = new SideThread({ name: 'side', module: pathToFileURL(path), start: 'you', onMessage: (message) => heard.push(message), onDeath: (error, pauseMs) => deaths.push({ message: error.message, pauseMs }) });
    thread.start();
    return thread;
  }

  afterEach(async () => {
    await thread?.stop('stop', 1_000);
    rmSync(directory, { recursive: true, force: true });
  });

  const until = async (condition: () => boolean): Promise<void> => {
    for (let waited = 0; !condition(); waited += 10) {
      if (waited > 20_000) throw new Error('timeout');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  it('comes back after ever longer pauses when it dies, and tells', async () => {
    const side = open();
    for (let life = 1; life <= 2; life++) {
      await until(() => heard.length === life);
      side.post('die');
      await until(() => deaths.length === life);
    }
    await until(() => heard.length === 3);
    expect(deaths).toEqual([{ message: 'the side thread ended: a bug', pauseMs: 1_000 }, { message: 'the side thread ended: a bug', pauseMs: 2_000 }]);
    expect([side.restarts, side.isRunning]).toEqual([2, true]);
  });

  it('leaves when asked, and is ended when it does not', async () => {
    const side = open();
    await until(() => heard.length === 1);
    side.post('hang');
    await side.stop('stop', 100);
    expect([side.isRunning, deaths, areThreadsRunning()]).toEqual([false, [], false]);
  });

  it('stays away once it was given up', async () => {
    const side = open();
    await until(() => heard.length === 1);
    side.post('die');
    await until(() => deaths.length === 1);
    side.giveUp();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect([heard.length, side.isRunning]).toEqual([1, false]);
  });
});
