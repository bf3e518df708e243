/** Another process that keeps the writer lock of a state file, so that no transaction on it settles as long as it lives. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const PROGRAM = `
  import { open } from ${JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve('lmdb')).href)};
  const root = open({ path: process.argv[1], noSubdir: true, encoding: 'binary', keyEncoding: 'binary', maxDbs: 10 });
  root.transactionSync(() => {
    process.stdout.write('locked');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

/** Resolves once it has the lock; killing it frees the lock. */
export async function holdWriterLock(path: string): Promise<ChildProcess> {
  const holder = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  return holder;
}
