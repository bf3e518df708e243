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
let program = '';
const processes: ChildProcess[] = [];
beforeAll(() => {
  program = transpile(scratch.path, 'test/integration/runtime/stuck-child.ts', ['engine/core', 'engine/runtime', 'engine/state', 'engine/threads']);
  symlinkSync(resolve(import.meta.dirname, '../../../node_modules'), join(scratch.path, 'node_modules'));
});
afterEach(() => {
  for (const process_ of processes.splice(0)) process_.kill('SIGKILL');
});
afterAll(() => {
  scratch.remove();
});

describe('a process whose store is stuck', () => {
  it('ends all the same, and tells its parent the code that it means', async () => {
    const path = join(scratch.path, 'stuck.mdb');
    const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
    processes.push(child);
    const told: unknown[] = [];
    child.on('message', (message) => told.push(message));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    processes.push(await holdWriterLock(path));
    child.stdin?.write('go');
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect({ code, signal, told }).toEqual({ code: null, signal: 'SIGKILL', told: [{ ending: exitCodes.stuck }] });
  }, 20_000);
});
