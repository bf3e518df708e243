/**
 * Tells when one of a few files has changed, by size, time and inode: at most two seconds later, and counted from before they were read.
 *
 * Node's own `watchFile` compares with what it finds some time after it was called, so that what is written meanwhile is never told. A file that is
 * gone counts as a change as well. Keeps no process alive. Owned by the ingress thread.
 */

import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

const LOOK_INTERVAL_MS = 2_000;
const GONE = 'gone';

interface Looks {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

/** For {@link FileWatch}. */
export const looksOfFiles = (files: readonly string[]): string => files.map((file) => looksOf(statSync(file, { throwIfNoEntry: false }))).join();

export class FileWatch {
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #isLooking = false;

  /** `seen`: what {@link looksOfFiles} gave before they were read. `onChange` may not raise. */
  constructor(files: readonly string[], seen: string, onChange: () => void) {
    this.#seen = seen;
    this.#timer = setInterval(() => void this.#look(files, onChange), LOOK_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A disk that does not answer is waited for, once. */
  async #look(files: readonly string[], onChange: () => void): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const looks = await Promise.all(files.map((file) => stat(file).then(looksOf, () => GONE)));
    this.#isLooking = false;
    const now = looks.join();
    if (now === this.#seen) return;
    this.#seen = now;
    onChange();
  }
}

function looksOf(found: Looks | undefined): string {
  return found === undefined ? GONE : `${found.size} ${found.mtimeMs} ${found.ino}`;
}
