import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../../engine/threads/pool.ts';

interface Task {
  readonly breaks?: boolean;
  readonly takesMs?: number;
}

/** A task may leave its thread broken, as a WebAssembly instance that has trapped does. */
const MODULE = `
import { setTimeout } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
let broken = false;
export default async function run({ breaks = false, takesMs = 0 }) {
  await setTimeout(takesMs);
  broken ||= breaks;
  if (broken) throw new Error('this thread is broken');
  return threadId;
}`;

describe('the pool', () => {
  let directory = '';
  let opened: Pool<Task, number> | null = null;

  function open(module: string, threads: number): Pool<Task, number> {
    directory = mkdtempSync(join(tmpdir(), 'millrace-pool-'));
    const path = join(directory, 'task.mjs');
    writeFileSync(path, module);
    opened = createPool({ module: pathToFileURL(path), threads, queuedMax: 4, memoryMbMax: 64 });
    return opened;
  }

  afterEach(async () => {
    await opened?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('does not use a thread again in which a task has failed', async () => {
    const pool = open(MODULE, 1);
    const first = await pool.run({});
    expect(await pool.run({})).toBe(first);
    await expect(pool.run({ breaks: true })).rejects.toThrow('this thread is broken');
    expect(await pool.run({})).not.toBe(first);
  });

  it('lets what runs beside a failed task come to its end', async () => {
    const pool = open(MODULE, 2);
    const beside = pool.run({ takesMs: 300 });
    await expect(pool.run({ breaks: true })).rejects.toThrow('this thread is broken');
    expect(await beside).toBeGreaterThan(0);
  });

  it('works once its module can be loaded, after it could not', async () => {
    const pool = open('export default await Promise.reject(new Error("no descriptor is free"));', 1);
    await expect(pool.run({})).rejects.toThrow('no descriptor is free');
    writeFileSync(join(directory, 'task.mjs'), MODULE);
    expect(await pool.run({})).toBeGreaterThan(0);
  });
});
