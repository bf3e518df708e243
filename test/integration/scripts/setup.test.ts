/** The setup of a bare checkout, with npm and the compiler faked: what it asks npm for, and when it takes the installation as done. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../../deploy/setup.mjs');
const COMPILER = 'node_modules/typescript/bin/tsc';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-setup-'));
  for (const folder of ['deploy', 'bin', 'dist', 'engine', 'actors', 'ingress', 'sinks', 'bench', 'test']) mkdirSync(join(root, folder));
  copyFileSync(SCRIPT, join(root, 'deploy/setup.mjs'));
  for (const file of ['package-lock.json', 'tsconfig.json', 'engine/cli.ts']) writeFileSync(join(root, file), '{}');
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** npm that installs the compiler, or leaves it out and is content. */
function build(npm: { readonly installsCompiler: boolean }): { code: number | null; stderr: string; calls: string[] } {
  const install = npm.installsCompiler ? `mkdir -p node_modules/typescript/bin && echo "require('fs').writeFileSync('dist/compiled', '')" > ${COMPILER}` : 'mkdir -p node_modules';
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\necho "$@" >> calls\n${install}\n`, { mode: 0o755 });
  rmSync(join(root, 'calls'), { force: true });
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'deploy/setup.mjs'), 'build'], { env: { PATH: `${join(root, 'bin')}:/usr/bin:/bin`, NODE_ENV: 'production' }, encoding: 'utf8' });
  return { code: status, stderr, calls: existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trimEnd().split('\n') : [] };
}

describe('the setup', () => {
  it("asks for what the build and the faster door need, whatever npm's configuration leaves out, and asks once", () => {
    const first = build({ installsCompiler: true });
    expect(first).toMatchObject({ code: 0, calls: [expect.stringMatching(/^install (?=.*--include=dev)(?=.*--include=optional)/)] });
    expect(existsSync(join(root, 'dist/compiled'))).toBe(true);
    expect(build({ installsCompiler: true })).toEqual({ code: 0, stderr: '', calls: [] });
  });

  it('says so when npm has left the compiler out, and installs again the next time', () => {
    expect(build({ installsCompiler: false })).toMatchObject({ code: 1, stderr: expect.stringMatching(/typescript/) as unknown });
    expect(build({ installsCompiler: true })).toMatchObject({ code: 0, calls: [expect.any(String)] });
  });

  it('installs again where the compiler has gone since', () => {
    build({ installsCompiler: true });
    rmSync(join(root, 'node_modules/typescript'), { recursive: true });
    // File times have ticks of some milliseconds: written right after the build it might be no newer.
    utimesSync(join(root, 'engine/cli.ts'), new Date(), new Date(Date.now() + 2_000));
    expect(build({ installsCompiler: true })).toMatchObject({ code: 0, calls: [expect.any(String)] });
  });
});
