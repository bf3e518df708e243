/** Ends by signal 9. */

import { spawn, type ChildProcess } from 'node:child_process';
import { CLI, NODE } from './daemon.ts';

/** kill -9, of one that may have ended already. Resolves once it is gone. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Runs the command line and kills it as its main thread enters its n-th rename: that one is not made. Resolves with how it ended. Needs strace. */
export function killedAtRename(number: number, args: readonly string[], env: Readonly<Record<string, string>>): Promise<NodeJS.Signals | number | null> {
  // Detached, so that the program is the child.
  const child = spawn('strace', ['-D', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', `inject=rename:signal=KILL:when=${number}`, NODE, CLI, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' });
  return new Promise((settle) => {
    child.once('close', (code, signal) => {
      settle(signal ?? code);
    });
  });
}
