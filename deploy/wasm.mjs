/**
 * Makes the WebAssembly that the sources carry as text out of its AssemblyScript: `npm run wasm`. With `--check` it changes nothing and ends with 1
 * where the two differ. The compiler is no dependency of the project, for only who changes those sources needs its 100 MB: it is installed once,
 * at the version below, in `dist/tools`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMPILER = 'assemblyscript';
const VERSION = '0.28.20';
const MODULES = [
  { source: 'engine/core/assembly/key-search.ts', target: 'engine/core/key-search-wasm.ts', name: 'KEY_SEARCH_WASM' },
  { source: 'actors/appsflyer/scan/assembly/index.ts', target: 'actors/appsflyer/scan/scan-wasm.ts', name: 'SCAN_WASM' },
];
const OPTIONS = ['--runtime', 'stub', '--importMemory', '--noExportMemory', '--enable', 'simd', '-O3', '--converge', '--noAssert', '--use', 'abort='];
const LINE_LENGTH = 140;

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const tools = join(root, 'dist', 'tools');
const installed = join(tools, 'node_modules', COMPILER);
const compiler = join(installed, 'bin', 'asc.js');
if (!existsSync(compiler) || JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')).version !== VERSION) install();

let isStale = false;
for (const { source, target, name } of MODULES) {
  const text = asModule(name, source, compile(source));
  const before = existsSync(target) ? readFileSync(target, 'utf8') : '';
  if (text === before) continue;
  if (process.argv.includes('--check')) {
    process.stderr.write(`${target} is not what ${source} becomes: run npm run wasm\n`);
    isStale = true;
  } else {
    writeFileSync(target, text);
    process.stderr.write(`${target} written\n`);
  }
}
process.exit(isStale ? 1 : 0);

function install() {
  process.stderr.write(`installing ${COMPILER} ${VERSION} (once)\n`);
  mkdirSync(tools, { recursive: true });
  run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['install', '--prefix', tools, '--no-save', '--no-audit', '--no-fund', '--loglevel=error', `${COMPILER}@${VERSION}`]);
}

function compile(source) {
  const output = join(tools, `module-${process.pid}.wasm`);
  run(process.execPath, [compiler, source, '--outFile', output, ...OPTIONS]);
  const bytes = readFileSync(output);
  rmSync(output);
  return bytes;
}

function asModule(name, source, bytes) {
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return `/** Made by \`npm run wasm\` from ${source}: ${bytes.byteLength} bytes, in base64. */\nexport const ${name} =\n${lines.map((line) => `  '${line}'`).join(' +\n')};\n`;
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
