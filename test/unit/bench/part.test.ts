import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPart, type Outcome } from '../../../bench/harness/part.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-part-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const run = (source: string, limitMs = 60_000): Promise<Outcome> => {
  const script = join(directory, 'part.mjs');
  writeFileSync(script, source);
  return runPart({ script, args: [directory], limitMs });
};

/** A process that its parent no longer waits for stays as a zombie until something reaps it. */
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describe.runIf(process.platform === 'linux')('a part of the bench', () => {
  it('ends or fails by its exit code', async () => {
    expect(await run('')).toBe('ended');
    expect(await run('process.exitCode = 1;')).toBe('failed');
  });

  it('that hangs is ended with all that it has started', async () => {
    const source = `
      import { spawn } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
      writeFileSync(process.argv[2] + '/child', String(child.pid));
      setInterval(() => {}, 1000);`;
    expect(await run(source, 3_000)).toBe('hung');
    const pid = Number(readFileSync(join(directory, 'child'), 'utf8'));
    const untilMs = Date.now() + 5_000;
    while (isAlive(pid) && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isAlive(pid)).toBe(false);
  });
});
