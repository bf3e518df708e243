/** The lock of a data directory, over processes, network namespaces and deaths. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { claimDirectory, lockDirectory } from '../../../engine/runtime/directory-lock.ts';
import { temporaryDirectory } from '../../support/daemon.ts';
import { kill } from '../../support/kill.ts';
import { OTHER_NETWORK, canUnshare } from '../../support/namespaces.ts';
import { transpile } from '../log/transpile.ts';

const program = temporaryDirectory();
let child = '';
beforeAll(() => {
  child = transpile(program.path, 'test/integration/runtime/lock-child.ts', ['engine/core', 'engine/log', 'engine/runtime']);
});
afterAll(() => {
  program.remove();
});

let scratch: ReturnType<typeof temporaryDirectory>;
const children: ChildProcess[] = [];
beforeEach(() => {
  scratch = temporaryDirectory();
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  scratch.remove();
});

const sockets = (): string[] => readdirSync(join(scratch.path, 'lock'));

/** What a process of its own says that wants the lock. */
function wants(wrap: readonly string[] = []): Promise<{ said: string; process: ChildProcess }> {
  const command = [...wrap, process.execPath, child, scratch.path];
  const process_ = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(process_);
  return new Promise((resolve, reject) => {
    process_.once('error', reject);
    process_.stdout.once('data', (chunk: Buffer) => {
      resolve({ said: chunk.toString().trim(), process: process_ });
    });
  });
}

describe('the lock of a data directory', () => {
  it('is held by one, and by the next once that one lets go, leaving nothing', async () => {
    const lock = await lockDirectory(scratch.path);
    expect(lock.acrossContainers).toBe(true);
    await expect(lockDirectory(scratch.path)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    expect((await wants()).said).toBe('DATA_DIR_LOCKED');
    expect(sockets()).toHaveLength(1);
    await lock.release();
    await lock.release();
    expect(sockets()).toEqual([]);
    expect((await wants()).said).toBe('held true');
  });

  it('is free again when its holder is killed, and what that one left is removed', async () => {
    for (let life = 0; life < 3; life++) {
      const { said, process: holder } = await wants();
      expect(said).toBe('held true');
      expect(sockets()).toHaveLength(1);
      await kill(holder);
    }
    expect(sockets()).toHaveLength(1);
    await (await lockDirectory(scratch.path)).release();
    expect(sockets()).toEqual([]);
  });

  it('is still held by a process that is stopped', async () => {
    const { process: holder } = await wants();
    holder.kill('SIGSTOP');
    await expect(claimDirectory(scratch.path)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  });

  it('goes to at most one of many that want it at the same moment, and to one that comes later', async () => {
    for (let round = 0; round < 20; round++) {
      const claims = await Promise.all(Array.from({ length: 8 }, () => claimDirectory(scratch.path).catch(() => null)));
      const held = claims.filter((claim) => claim !== null);
      expect(held.length).toBeLessThanOrEqual(1);
      for (const claim of held) await claim.release();
      const next = await claimDirectory(scratch.path);
      await next?.release();
      expect(sockets()).toEqual([]);
    }
  });

  it('is not in the way of paths longer than a socket may have', async () => {
    const long = join(scratch.path, 'x'.repeat(200), 'y'.repeat(200));
    mkdirSync(long, { recursive: true });
    const lock = await lockDirectory(long);
    expect(lock.acrossContainers).toBe(true);
    expect(statSync(join(long, 'lock', readdirSync(join(long, 'lock'))[0] as string)).isSocket()).toBe(true);
    await expect(claimDirectory(long)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await lock.release();
  });

  it.skipIf(!canUnshare)('keeps processes of other network namespaces out, as containers have them (needs the right to unshare)', async () => {
    const { said, process: holder } = await wants(OTHER_NETWORK);
    expect(said).toBe('held true');
    expect((await wants()).said).toBe('DATA_DIR_LOCKED');
    expect((await wants(OTHER_NETWORK)).said).toBe('DATA_DIR_LOCKED');
    await kill(holder);
    expect((await wants()).said).toBe('held true');
  });

  it.skipIf(!canUnshare)('is what keeps them out: the name alone would not', async () => {
    const { said } = await wants(OTHER_NETWORK);
    expect(said).toBe('held true');
    for (const name of sockets()) unlinkSync(join(scratch.path, 'lock', name));
    expect((await wants()).said).toBe('held true');
  });
});
