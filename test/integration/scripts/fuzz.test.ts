import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const ENDLESS = `
import { runTarget } from './dist/test/fuzz/target.js';
const check = (input) => { while (input.byteLength > 0); };
await runTarget({ name: 'endless', generate: () => Buffer.alloc(3), check }, { seed: 5, cases: 1, endlessMs: 500 });`;

describe('a fuzz case', () => {
  it('that does not end is named, and ends the process', () => {
    const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', ENDLESS], { encoding: 'utf8', timeout: 60_000 });
    expect(stderr).toContain('fuzz target endless: seed 5; repeat: npm run fuzz -- --target endless --seed 5 --cases 1: this case does not end');
    expect(signal).toBe('SIGKILL');
  });
});
