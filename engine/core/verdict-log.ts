/**
 * The packed list of what became of a partition's records in one lake slot: journal positions and verdicts, two bits each.
 *
 * ```
 * entry:  varint (batch offset - last one of its journal) / 8 | varint sequence of its first record - last one | varint records | verdicts
 * switch: varint journal | 0 | 0, where the entries that follow are of another one than those before; at first it is journal 0
 * ```
 * Verdicts lie four to a byte, the first in the low bits. Only batches with at least one accepted or late record are listed.
 */

import { JOURNALS_MAX } from './log.ts';
import { assert, type Offset } from './types.ts';

const BATCH_ALIGNMENT = 8;

/** One batch of a {@link VerdictLogWriter} or {@link readVerdictLog}. */
export interface VerdictEntry {
  readonly journal: number;
  readonly batchOffset: Offset;
  /** The partition's sequence number of the first record; the others follow by one. */
  readonly firstSequence: number;
  /** One {@link Verdict} per record of the partition's slice. */
  readonly verdicts: Uint8Array;
}

/** Grows one packed list. */
export class VerdictLogWriter {
  #bytes = new Uint8Array(256);
  #length = 0;
  #journal = 0;
  /** By journal. */
  readonly #lastOffsets: number[] = [];
  #lastSequence = 0;

  get byteLength(): number {
    return this.#length;
  }

  /** Batches arrive in log order, at least one record of each; `verdicts[0, count)` is copied. */
  append(batchOffset: Offset, firstSequence: number, verdicts: Uint8Array, count: number, journal = 0): void {
    const step = batchOffset - (this.#lastOffsets[journal] ?? 0);
    assert(step >= 0 && step % BATCH_ALIGNMENT === 0, 'batches arrive in log order, aligned');
    assert(firstSequence >= this.#lastSequence && count > 0, 'sequences rise, and a batch has records');
    this.#reserve(40 + (count >>> 2) + 1);
    if (journal !== this.#journal) this.#switchTo(journal);
    this.#varint(step / BATCH_ALIGNMENT);
    this.#varint(firstSequence - this.#lastSequence);
    this.#varint(count);
    for (let index = 0; index < count; index += 4) {
      let packed = 0;
      for (let at = index; at < Math.min(index + 4, count); at++) packed |= (verdicts[at] as number) << ((at - index) * 2);
      this.#bytes[this.#length++] = packed;
    }
    this.#lastOffsets[journal] = batchOffset;
    this.#lastSequence = firstSequence;
  }

  /** A copy of what was appended so far. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #switchTo(journal: number): void {
    this.#varint(journal);
    this.#varint(0);
    this.#varint(0);
    this.#journal = journal;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(this.#bytes.byteLength * 2, this.#length + bytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads a packed list back, in order. */
export function* readVerdictLog(bytes: Uint8Array): Generator<VerdictEntry> {
  let at = 0;
  let journal = 0;
  const offsets: number[] = [];
  let sequence = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      assert(byte !== undefined && scale < 2 ** 53, 'a verdict log ends inside a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  };
  while (at < bytes.byteLength) {
    const step = varint();
    sequence += varint();
    const count = varint();
    if (count === 0) {
      assert(step < JOURNALS_MAX, 'a verdict log names a journal that there cannot be');
      journal = step;
      continue;
    }
    const batchOffset = (offsets[journal] ?? 0) + step * BATCH_ALIGNMENT;
    offsets[journal] = batchOffset;
    assert(at + Math.ceil(count / 4) <= bytes.byteLength, 'a verdict log ends inside its verdicts');
    const verdicts = new Uint8Array(count);
    for (let index = 0; index < count; index++) verdicts[index] = ((bytes[at + (index >>> 2)] as number) >>> ((index & 3) * 2)) & 3;
    at += Math.ceil(count / 4);
    yield { journal, batchOffset: batchOffset as Offset, firstSequence: sequence, verdicts };
  }
}
