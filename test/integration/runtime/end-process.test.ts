/** The end of a process that cannot wait for all that is under way in it. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../../../engine/runtime/exit-codes.ts';
import { temporaryDirectory } from '../../support/daemon.ts';
import { holdWriterLock } from '../../support/lock-holder.ts';
import { transpile } from '../log/transpile.ts';

const scratch = temporaryDirectory();
const processes: ChildProcess[] = [];
beforeAll(() => {
  for (const name of ['stuck-child', 'copying-child']) transpile(scratch.path, `test/integration/runtime/${name}.ts`, ['engine/core', 'engine/log', 'engine/runtime', 'engine/state', 'engine/threads']);
  symlinkSync(resolve(import.meta.dirname, '../../../node_modules'), join(scratch.path, 'node_modules'));
});
afterEach(() => {
  for (const process_ of processes.splice(0)) process_.kill('SIGKILL');
});
afterAll(() => {
  scratch.remove();
});

/** A child with a channel to its parent, all it says there, and how it ends. */
function run(name: string, path: string): { child: ChildProcess; told: unknown[]; ended: Promise<{ code: number | null; signal: string | null }> } {
  const child = spawn(process.execPath, [join(scratch.path, `test/integration/runtime/${name}.js`), path], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  processes.push(child);
  const told: unknown[] = [];
  child.on('message', (message) => told.push(message));
  const ended = once(child, 'exit').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }));
  return { child, told, ended };
}

describe('a process ends, and tells its parent the code that it means,', () => {
  it('although its store is stuck', async () => {
    const path = join(scratch.path, 'stuck.mdb');
    const { child, told, ended } = run('stuck-child', path);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    processes.push(await holdWriterLock(path));
    child.stdin?.write('go');
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(told).toEqual([{ ending: exitCodes.stuck }]);
  }, 60_000);

  it('although its store is being copied', async () => {
    const { told, ended } = run('copying-child', join(scratch.path, 'copied.mdb'));
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(told).toEqual([{ ending: exitCodes.ok }]);
  }, 60_000);
});
