/**
 * Makes a bare checkout runnable, then runs it: installs what package-lock.json pins, builds, and starts or tests.
 * Plain JavaScript without a dependency, for it runs before there are any. Each step is skipped when it would change nothing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const SOURCE_FOLDERS = ['engine', 'actors', 'ingress', 'sinks', 'bench', 'test'];
const COMPILER = 'node_modules/typescript/bin/tsc';
const BUILD_STAMP = 'dist/.built';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 15) || major === 21 || (major === 22 && minor < 2)) {
  fail(`Millrace needs Node 20.15 or later of 20, or 22.2 and later; this is ${process.version}.`);
}

const [command = 'build', ...rest] = process.argv.slice(2);
const isBuilt = isBuildCurrent();
install();
if (!isBuilt) build();
// In this process, so that signals reach the program and not a middleman.
if (command === 'start' || command === 'test') {
  const program = command === 'start' ? 'dist/engine/cli.js' : 'test/run.mjs';
  process.argv.splice(1, process.argv.length, join(root, program), ...(command === 'start' ? ['start'] : []), ...rest);
  await import(pathToFileURL(join(root, program)).href);
}

function install() {
  const stamp = 'node_modules/.millrace-installed';
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).update(process.versions.modules).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && (isBuilt || existsSync(COMPILER))) return;
  say('installing dependencies (once)');
  // Install scripts are not needed: the native packages ship prebuilt binaries.
  // Not `npm ci`: it refuses a lock file that leaves out an optional package of another platform. --no-save keeps to the lock file as well.
  // The build needs the compiler, and the faster door is optional: NODE_ENV=production and npm's own configuration may leave both out.
  if (run(npm(), ['install', '--include=dev', '--include=optional', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']) !== 0) fail('npm install failed: see above.');
  if (!existsSync(COMPILER)) fail('npm has installed no typescript, which the build needs: look for what leaves it out (npm config list).');
  writeFileSync(stamp, wanted);
}

function isBuildCurrent() {
  const built = existsSync(BUILD_STAMP) ? statSync(BUILD_STAMP).mtimeMs : 0;
  return newest(SOURCE_FOLDERS) <= built && statSync('tsconfig.json').mtimeMs <= built;
}

function build() {
  say('building');
  if (run(process.execPath, [COMPILER, '-p', 'tsconfig.json']) !== 0) fail('the build failed: see above.');
  writeFileSync(BUILD_STAMP, '');
}

function newest(folders) {
  let latest = 0;
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && /\.(ts|html|js|css)$/.test(entry.name)) latest = Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
    }
  }
  return latest;
}

function npm() {
  return process.platform === 'win32' ? 'npm.cmd' : 'npm';
}

function run(program, args) {
  const result = spawnSync(program, args, { stdio: 'inherit' });
  if (result.error) fail(`${program}: ${result.error.message}`);
  return result.status ?? 1;
}

function say(text) {
  process.stderr.write(`millrace: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
