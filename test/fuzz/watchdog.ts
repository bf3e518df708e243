/**
 * Ends a process whose fuzz case does not end: nothing inside the thread can, because nothing else gets its turn there.
 *
 * A thread of its own looks at a counter that rises with each case. Once it stands still for too long, the thread says which case that is, and
 * kills the process.
 */

import { Worker } from 'node:worker_threads';

const LOOKS_PER_LIMIT = 10;
/** Bytes of a shared description. */
const TEXT_BYTES_MAX = 512;

/** Plain JavaScript, because a worker is not given the sources' types. */
const LOOK = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const { words, text, limitMs, looks } = workerData;
let [seen, stood] = [-1, 0];
setInterval(() => {
  const now = Atomics.load(words, 0);
  stood = now === seen ? stood + 1 : 0;
  seen = now;
  if (stood < looks || Atomics.load(words, 1) === 0) return;
  writeSync(2, Buffer.from(text).toString('utf8').replace(/\\0+$/, '') + ': this case does not end\\n');
  process.kill(process.pid, 'SIGKILL');
}, limitMs / looks);
`;

export class Watchdog {
  readonly #words = new Int32Array(new SharedArrayBuffer(8));
  readonly #text = new Uint8Array(new SharedArrayBuffer(TEXT_BYTES_MAX));
  readonly #worker: Worker;

  constructor(limitMs: number) {
    this.#worker = new Worker(LOOK, { eval: true, execArgv: [], workerData: { words: this.#words, text: this.#text, limitMs, looks: LOOKS_PER_LIMIT } });
    this.#worker.unref();
  }

  /** `what` says how the case is repeated. */
  begin(what: string): void {
    this.#text.fill(0);
    this.#text.set(Buffer.from(what).subarray(0, TEXT_BYTES_MAX));
    Atomics.store(this.#words, 1, 1);
    Atomics.add(this.#words, 0, 1);
  }

  /** Nothing is under way. */
  end(): void {
    Atomics.store(this.#words, 1, 0);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
