/** A real server as a child process of the test: it leaves nothing behind, also when it never answers. */

import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { kill } from '../support/kill.ts';

export interface ServerProcess {
  /** kill -9: nothing is saved, nobody is told. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Ends it, and removes its directory. */
  stop(): Promise<void>;
}

export interface ServerProcessOptions {
  readonly spawn: () => ChildProcess;
  /** Resolves once it answers. */
  readonly ready: () => Promise<unknown>;
  readonly directory: string;
  /** Called before it is ended for good. */
  readonly onStop?: () => void;
}

export async function startServerProcess({ spawn, ready, directory, onStop }: ServerProcessOptions): Promise<ServerProcess> {
  let child: ChildProcess | null = null;
  const launch = async (): Promise<void> => {
    child = spawn();
    await ready();
  };
  const end = async (): Promise<void> => {
    const dying = child;
    child = null;
    if (dying !== null) await kill(dying);
  };
  const stop = async (): Promise<void> => {
    onStop?.();
    await end();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await launch();
  } catch (error) {
    await stop();
    throw error;
  }
  return { kill: end, restart: launch, stop };
}
