/** The only door to msgpackr: compact encoding of stored values and of messages between threads. */
import { Packr } from 'msgpackr';

// Plain arrays and maps only: no record extension, so that a stored value can be read without what was read before it.
const packr = new Packr({ useRecords: false, moreTypes: false });

/** Encodes into a buffer of its own, free to be kept or transferred. */
export function pack(value: unknown): Uint8Array {
  const packed = packr.pack(value);
  const own = new Uint8Array(packed.byteLength);
  own.set(packed);
  return own;
}

/** Decodes what {@link pack} wrote. The caller names the type: these bytes are our own, under a checksum or from our own thread. */
export const unpack = <Value>(bytes: Uint8Array): Value => packr.unpack(bytes) as Value;

// Messages between threads carry thousands of objects of the same shape: their keys are written once per message. Measured on 2,000
// cells: encoding 1.7 times, decoding 3.9 times as fast as plain maps, and 57 % of the bytes.
const messages = new Packr({ useRecords: true, moreTypes: false });

/** Encodes a message of many like objects, whole in itself; the buffer is the caller's, free to be transferred. */
export function packMessage(value: unknown): Uint8Array {
  const packed = messages.pack(value);
  const own = new Uint8Array(packed.byteLength);
  own.set(packed);
  return own;
}

/** Decodes what {@link packMessage} wrote. */
export const unpackMessage = <Value>(bytes: Uint8Array): Value => messages.unpack(bytes) as Value;
