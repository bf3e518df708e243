/** Facts about the repository that are easy to break by accident. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../engine/core/errors.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const isCi = process.env.CI === 'true';
const hasWasmCompiler = existsSync(join(root, 'dist/tools/node_modules/assemblyscript'));
const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

describe('the repository', () => {
  it('keeps its top level', () => {
    const allowed = new Set(['engine', 'actors', 'ingress', 'sinks', 'bench', 'deploy', 'test', 'package.json', 'package-lock.json', 'tsconfig.json', 'README.md', 'LICENSE', '.ci', '.gitignore']);
    expect([...new Set(tracked.map((file) => file.split('/')[0] as string))].filter((name) => !allowed.has(name))).toEqual([]);
  });

  it('pins every dependency to one version', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
    const versions = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((group) => Object.entries(manifest[group] ?? {}));
    expect(versions.length).toBeGreaterThan(10);
    expect(versions.filter(([, version]) => !/^(npm:[a-z]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  it('carries no download address in its lock file', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });

  it('has a README in every folder of the layout', () => {
    const folders = ['engine', 'engine/core', 'engine/log', 'engine/state', 'engine/threads', 'engine/runtime', 'actors', 'actors/appsflyer', 'actors/partition', 'actors/merge', 'ingress', 'ingress/http', 'ingress/access', 'ingress/pull', 'ingress/tls', 'sinks', 'sinks/live', 'sinks/redis', 'sinks/lake', 'bench', 'deploy', 'test'];
    expect(folders.filter((folder) => !tracked.includes(`${folder}/README.md`))).toEqual([]);
  });

  it('documents every error code where users look for it', () => {
    const documented = read('engine/README.md');
    expect(Object.keys(ERROR_CODES).filter((code) => !documented.includes(code))).toEqual([]);
  });

  it('uses erasable TypeScript without any and non-null assertions, and keeps files to one idea', () => {
    const long = tracked.filter((file) => /^(engine|actors|ingress|sinks)\/.*\.ts$/.test(file)).map((file) => ({ file, lines: read(file).split('\n').length })).filter(({ lines }) => lines > 450);
    expect(long).toEqual([]);
  });

  it('names no path of a machine', () => {
    const leaking = tracked.filter((file) => /\.(ts|mjs|md|json|yaml|html)$/.test(file) && !file.startsWith('test/tidy/') && /(^|[\s"'(])\/(work|farm|root)\//m.test(read(file)));
    expect(leaking).toEqual([]);
  });

  // In CI the compiler is installed where it is missing.
  it.skipIf(!isCi && !hasWasmCompiler)('carries the WebAssembly that its AssemblyScript becomes (needs the compiler: npm run wasm installs it)', { timeout: 300_000 }, () => {
    const { status, stderr } = spawnSync(process.execPath, ['deploy/wasm.mjs', '--check'], { cwd: root, encoding: 'utf8' });
    expect([status, stderr.replace(/^installing .*\n/, '')]).toEqual([0, '']);
  });

  it('builds from folders that exist', () => {
    expect(readdirSync(root)).toEqual(expect.arrayContaining(['engine', 'actors', 'ingress', 'sinks', 'bench', 'deploy', 'test']));
  });
});
