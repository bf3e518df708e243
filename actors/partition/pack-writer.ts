/**
 * Writes many small values one behind the other, so that thousands of them do not cost an array each: as msgpack, byte for byte what the
 * general encoder (engine/core/codec.ts) makes of the same values, and as plain bytes.
 *
 * What {@link PackWriter.end} gives out is a view on a chunk that is never written again. Hot path: 100 K cells a second,
 * at most 1 µs a cell of a checkpoint; bench/micro/cells.ts. Owned by the partition.
 */

/** Chosen: some 600 cells. A value that is larger gets a chunk of its own. */
const CHUNK_BYTES = 64 * 1_024;
const NUMBER_BYTES_MAX = 9;
/** Bytes of UTF-8 for one unit of UTF-16, at most, and before a text. */
const UNIT_BYTES_MAX = 3;
const TEXT_HEAD_BYTES_MAX = 5;

export class PackWriter {
  #bytes: Buffer = Buffer.alloc(0);
  #view = new DataView(this.#bytes.buffer);
  /** Of the value that is being written, and the next byte. */
  #start = 0;
  #at = 0;

  begin(): void {
    this.#start = this.#at;
  }

  /** What was written since {@link begin}. */
  end(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#start, this.#at - this.#start);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** 6 bytes, big-endian; for whole numbers below 2^48. */
  uint48(value: number): void {
    this.#reserve(6);
    this.#view.setUint16(this.#at, value / 2 ** 32);
    this.#view.setUint32(this.#at + 2, value);
    this.#at += 6;
  }

  /** UTF-8, without its length. */
  utf8(text: string): void {
    this.#reserve(text.length * UNIT_BYTES_MAX);
    this.#at = this.#writeText(text, this.#at);
  }

  nil(): void {
    this.byte(0xc0);
  }

  /** So many values follow. */
  array(length: number): void {
    this.#reserve(NUMBER_BYTES_MAX);
    if (length < 0x10) this.#bytes[this.#at++] = 0x90 | length;
    else this.#tagged16(0xdc, length);
  }

  number(value: number): void {
    this.#reserve(NUMBER_BYTES_MAX);
    if (value >>> 0 === value) this.#unsigned(value);
    else if (value >> 0 === value) this.#negative(value);
    else {
      this.#bytes[this.#at] = 0xcb;
      this.#view.setFloat64(this.#at + 1, value);
      this.#at += 9;
    }
  }

  text(text: string): void {
    this.#reserve(TEXT_HEAD_BYTES_MAX + text.length * UNIT_BYTES_MAX);
    // Of all texts but those of about 32 and 256 bytes the length in units tells how long the head is.
    const headBytes = headBytesOf(text.length);
    const end = this.#writeText(text, this.#at + headBytes);
    const length = end - this.#at - headBytes;
    const shift = headBytesOf(length) - headBytes;
    if (shift > 0) this.#bytes.copyWithin(this.#at + headBytes + shift, this.#at + headBytes, end);
    if (length < 0x20) this.#bytes[this.#at++] = 0xa0 | length;
    else if (length < 0x100) {
      this.#bytes[this.#at++] = 0xd9;
      this.#bytes[this.#at++] = length;
    } else this.#tagged16(0xda, length);
    this.#at += length;
  }

  #unsigned(value: number): void {
    if (value < 0x80) this.#bytes[this.#at++] = value;
    else if (value < 0x100) {
      this.#bytes[this.#at++] = 0xcc;
      this.#bytes[this.#at++] = value;
    } else if (value < 0x10000) this.#tagged16(0xcd, value);
    else {
      this.#bytes[this.#at] = 0xce;
      this.#view.setUint32(this.#at + 1, value);
      this.#at += 5;
    }
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#bytes[this.#at++] = 0x100 + value;
    else if (value >= -0x80) {
      this.#bytes[this.#at++] = 0xd0;
      this.#bytes[this.#at++] = value + 0x100;
    } else if (value >= -0x8000) this.#tagged16(0xd1, value);
    else {
      this.#bytes[this.#at] = 0xd2;
      this.#view.setInt32(this.#at + 1, value);
      this.#at += 5;
    }
  }

  #tagged16(tag: number, value: number): void {
    this.#bytes[this.#at] = tag;
    this.#view.setInt16(this.#at + 1, value);
    this.#at += 3;
  }

  /** Returns where it ends. Most texts are ASCII, and short: a loop is faster than a call. */
  #writeText(text: string, at: number): number {
    const bytes = this.#bytes;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return at + bytes.write(text, at, 'utf8');
      bytes[at + index] = unit;
    }
    return at + text.length;
  }

  /** Makes room for so many bytes behind what is written of the value. */
  #reserve(byteLength: number): void {
    if (this.#at + byteLength > this.#bytes.byteLength) this.#moveOn(byteLength);
  }

  #moveOn(byteLength: number): void {
    const written = this.#at - this.#start;
    const chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, (written + byteLength) * 2));
    this.#bytes.copy(chunk, 0, this.#start, this.#at);
    this.#bytes = chunk;
    this.#view = new DataView(chunk.buffer);
    this.#start = 0;
    this.#at = written;
  }
}

const headBytesOf = (length: number): number => (length < 0x20 ? 1 : length < 0x100 ? 2 : 3);
