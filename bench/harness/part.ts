/** One part of the bench as a process of its own, which leads a group: where it hangs, all that it has started is ended with it. */

import { spawn } from 'node:child_process';

export type Outcome = 'ended' | 'failed' | 'hung';

export interface PartCall {
  /** Built, by its path. */
  readonly script: string;
  readonly args: readonly string[];
  /** After so long it is ended. */
  readonly limitMs: number;
}

export function runPart({ script, args, limitMs }: PartCall): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit', detached: true });
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    };
    let hung = false;
    const limit = setTimeout(() => {
      hung = true;
      end();
    }, limitMs);
    const interrupted = (): void => {
      end();
      process.exit(130);
    };
    process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
    child.once('exit', (code) => {
      clearTimeout(limit);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      resolve(hung ? 'hung' : code === 0 ? 'ended' : 'failed');
    });
  });
}
