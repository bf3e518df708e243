/** Looks for identities in one file of `events/`: runs in the pool, about 10 M rows a second and core. */

import { EngineError, messageOf } from '../../engine/core/errors.ts';

const ID_BYTES = 16;
const HEX_DIGITS = 2 * ID_BYTES;

/** By index of the identity (16 bytes each in `ids`) 1 where a row has it. Raises SINK_REFUSED for what is no file of events/. */
export async function findEventIds(file: Uint8Array, ids: Uint8Array): Promise<Uint8Array> {
  // Loaded here: whoever imports this folder's index on the main thread must not pay for 5 MB of WebAssembly.
  const { readTextColumn } = await import('./parquet.ts');
  const index = new IdIndex(ids);
  const found = new Uint8Array(ids.length / ID_BYTES);
  const wanted = new Uint8Array(ID_BYTES);
  try {
    for (const { offsets, bytes, count } of readTextColumn(file, 'event_id')) {
      for (let row = 0; row < count; row++) {
        const start = offsets[row] as number;
        // With dedupe none an event_id is a place in the log: no identity.
        if ((offsets[row + 1] as number) - start !== HEX_DIGITS || !readHex(bytes, start, wanted)) continue;
        index.mark(wanted, found);
      }
    }
  } catch (error) {
    throw new EngineError('SINK_REFUSED', `a file of events/ cannot be read: ${messageOf(error)}`, { cause: error, fix: 'look at what wrote it' });
  }
  return found;
}

function readHex(text: Uint8Array, start: number, out: Uint8Array): boolean {
  for (let at = 0; at < ID_BYTES; at++) {
    const high = digit(text[start + 2 * at] as number);
    const low = digit(text[start + 2 * at + 1] as number);
    if (high < 0 || low < 0) return false;
    out[at] = high * 16 + low;
  }
  return true;
}

const digit = (code: number): number => (code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : -1);

/** Open addressing over the first four bytes, which are hash bits themselves. Equal identities are all marked. */
class IdIndex {
  readonly #ids: Uint8Array;
  readonly #slots: Uint32Array;
  readonly #mask: number;

  constructor(ids: Uint8Array) {
    const count = ids.length / ID_BYTES;
    let size = 16;
    while (size < 2 * count) size *= 2;
    this.#ids = ids;
    this.#slots = new Uint32Array(size);
    this.#mask = size - 1;
    for (let index = 0; index < count; index++) {
      let slot = this.#first(ids, index * ID_BYTES);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = index + 1;
    }
  }

  mark(id: Uint8Array, found: Uint8Array): void {
    for (let slot = this.#first(id, 0); this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const index = (this.#slots[slot] as number) - 1;
      if (this.#equals(index * ID_BYTES, id)) found[index] = 1;
    }
  }

  #first(bytes: Uint8Array, at: number): number {
    return (((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)) >>> 0) & this.#mask;
  }

  #equals(at: number, id: Uint8Array): boolean {
    for (let offset = 0; offset < ID_BYTES; offset++) if (this.#ids[at + offset] !== id[offset]) return false;
    return true;
  }
}
