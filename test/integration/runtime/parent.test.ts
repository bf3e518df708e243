/** The supervising parent as a process of its own, over children that end, or do not, as they are told. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const PARENT = fileURLToPath(new URL('../../../dist/engine/runtime/parent.js', import.meta.url));
const DIES_AT_ONCE = 'process.exit(1)';
/** Ends with its parent all the same, so that a test that fails leaves nothing behind. */
const HEARS_NO_SIGNAL = `process.on('SIGTERM', () => undefined); process.on('disconnect', () => process.exit()); console.log('up'); setInterval(() => undefined, 1000)`;

describe('the supervising parent', () => {
  let directory: string;
  let parent: ChildProcess;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-parent-'));
  });
  afterEach(() => {
    parent.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  /** Prints a line for each error it logs; what the child prints goes the same way. Resolves once `line` was there `times`. */
  async function supervise(child: string, line: string, times: number): Promise<void> {
    writeFileSync(join(directory, 'child.mjs'), child);
    writeFileSync(
      join(directory, 'parent.mjs'),
      `import { superviseDaemon } from ${JSON.stringify(PARENT)};
       const log = { error: (facts, text) => console.log(text) };
       process.exitCode = await superviseDaemon(${JSON.stringify(join(directory, 'child.mjs'))}, [], log, 500);`,
    );
    parent = spawn(process.execPath, [join(directory, 'parent.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    await new Promise<void>((resolve) => {
      parent.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.split('\n').filter((part) => part === line).length >= times) resolve();
      });
    });
  }

  async function endedAfter(signal: NodeJS.Signals): Promise<{ code: number | null; tookMs: number }> {
    const startMs = performance.now();
    const exit = once(parent, 'exit') as Promise<[number | null]>;
    parent.kill(signal);
    const [code] = await exit;
    return { code, tookMs: performance.now() - startMs };
  }

  test('ends at once when it is told to while it waits to start a dead daemon again', async () => {
    // By the sixth death the pause is over six seconds.
    await supervise(DIES_AT_ONCE, 'the daemon died; starting it again', 6);
    const { code, tookMs } = await endedAfter('SIGTERM');
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(4_000);
  }, 60_000);

  test('waits for a data directory that cannot be used once a daemon has died in it, and not before', async () => {
    const lives = join(directory, 'lives');
    // 1: it dies; 4, 4: the disk is full; then it is up.
    await supervise(`import { appendFileSync, readFileSync } from 'node:fs';
      appendFileSync(${JSON.stringify(lives)}, 'x');
      const code = [1, 4, 4][readFileSync(${JSON.stringify(lives)}).length - 1];
      if (code !== undefined) process.exit(code);
      process.on('disconnect', () => process.exit());
      console.log('up');
      setInterval(() => undefined, 1000);`, 'up', 1);
    expect((await endedAfter('SIGTERM')).code).toBe(0);
    writeFileSync(join(directory, 'child.mjs'), 'process.exit(4)');
    parent = spawn(process.execPath, [join(directory, 'parent.mjs')], { stdio: 'ignore' });
    expect(((await once(parent, 'exit')) as [number])[0]).toBe(4);
  }, 60_000);

  test('kills a daemon that hears no signal, and says that it failed', async () => {
    await supervise(HEARS_NO_SIGNAL, 'up', 1);
    const { code } = await endedAfter('SIGTERM');
    expect(code).toBe(1);
  }, 60_000);
});
