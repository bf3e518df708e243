/**
 * Buffers for bodies that arrive in pieces: powers of two, kept for the next body, with a bound on what is kept.
 *
 * Owned by the ingress thread. A buffer still holds an earlier body's bytes: use no more of it than was written.
 */

/** Chosen: a client that has sent one byte holds this much, so that ten thousand of them hold 10 MiB. */
const SMALLEST_LOG2 = 10;
const LARGEST_LOG2 = 28;

export class BodyBuffers {
  readonly #kept: Buffer[][] = Array.from({ length: LARGEST_LOG2 + 1 }, () => []);
  readonly #keptBytesMax: number;
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Size of the buffer that {@link take} gives for so many bytes. */
  static sizeFor(bytes: number): number {
    return 2 ** Math.max(SMALLEST_LOG2, Math.ceil(Math.log2(bytes)));
  }

  take(bytes: number): Buffer {
    const size = BodyBuffers.sizeFor(bytes);
    const kept = this.#kept[Math.log2(size)]?.pop();
    if (kept === undefined) return Buffer.allocUnsafeSlow(size);
    this.#keptBytes -= size;
    return kept;
  }

  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.byteLength > this.#keptBytesMax) return;
    this.#keptBytes += buffer.byteLength;
    this.#kept[Math.log2(buffer.byteLength)]?.push(buffer);
  }
}
