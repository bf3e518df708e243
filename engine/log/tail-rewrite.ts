/**
 * The first segment of a new life: its header, and the unproven tail of the last life under new CRCs.
 *
 * The sync behind that tail may have failed while its bytes stayed in the page cache, where they look fine. So they are written
 * anew, with the same sequences, times and records, into a file that gets its name only when all of it is on disk: a crash before
 * leaves the old tail in force, a crash after finds it proven. Offsets change; nothing durable names those of an unproven batch.
 */

import { writeFully, type DiskFile } from '../core/disk.ts';
import { assert } from '../core/types.ts';
import { batchHeaderBytes, decodeBatchFacts, encodeBatchHeader, nextRecordAt, RECORD_HEADER_BYTES, sealRecord } from './batch-format.ts';
import type { JournalMeta } from './journal-meta.ts';
import type { LogState } from './recovery.ts';
import { encodeSegmentHeader, offsetOf, SEGMENT_HEADER_BYTES, segmentSeed } from './segment-format.ts';

export interface FirstSegment {
  readonly file: DiskFile;
  readonly number: number;
  readonly recycled: boolean;
  readonly meta: JournalMeta;
  readonly nowMs: number;
  /** Null in a new journal. */
  readonly proven: LogState | null;
  /** The last life's newest segment in memory, and the positions of its unproven batches. */
  readonly tail: { readonly bytes: Buffer; readonly positions: readonly number[] };
}

/** Writes the segment without syncing it; returns the state at its end and the time of its first batch. */
export function writeFirstSegment(first: FirstSegment): { readonly state: LogState; readonly firstReceivedAtMs: number } {
  const { meta, number, proven, tail } = first;
  const seed = segmentSeed(number, meta.salt);
  const firstAt = tail.positions[0];
  const tailBytes = firstAt === undefined ? 0 : tailEnd(tail) - firstAt;
  const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES + tailBytes);
  if (firstAt !== undefined) tail.bytes.copy(buffer, SEGMENT_HEADER_BYTES, firstAt, firstAt + tailBytes);
  const receivedAtMs = proven?.receivedAtMs ?? 0;
  const receivedAtUsPart = proven?.receivedAtUsPart ?? 0;
  const firstReceivedAtMs = tailBytes === 0 ? Math.max(receivedAtMs, first.nowMs) : decodeBatchFacts(buffer, SEGMENT_HEADER_BYTES).receivedAtMs;
  const header = {
    ...meta,
    number,
    recycled: first.recycled,
    nextSequence: proven?.nextSequence ?? 0,
    receivedAtMs,
    receivedAtUsPart,
    runningTimeMs: proven?.runningTimeMs ?? 0,
    firstReceivedAtMs,
    createdAtMs: first.nowMs,
    previous: proven === null ? null : { number: proven.segment, endPosition: proven.position, chain: proven.chain },
    bornEndPosition: buffer.byteLength,
  };
  const crc = encodeSegmentHeader(header, buffer.subarray(0, SEGMENT_HEADER_BYTES), seed);
  let state: LogState = {
    durableOffset: offsetOf(number, SEGMENT_HEADER_BYTES, meta.segmentBytes),
    segment: number,
    position: SEGMENT_HEADER_BYTES,
    chain: crc,
    nextSequence: header.nextSequence,
    receivedAtMs,
    receivedAtUsPart,
    runningTimeMs: header.runningTimeMs,
  };
  const durableOffset = proven?.durableOffset ?? 0;
  while (state.position < buffer.byteLength) state = resealBatch(buffer, state, { number, seed, durableOffset, segmentBytes: meta.segmentBytes });
  writeFully(first.file, buffer, 0, buffer.byteLength, 0);
  return { state, firstReceivedAtMs };
}

function tailEnd(tail: { readonly bytes: Buffer; readonly positions: readonly number[] }): number {
  const lastAt = tail.positions.at(-1) as number;
  const facts = decodeBatchFacts(tail.bytes, lastAt);
  return lastAt + facts.headerBytes + facts.bodyBytes;
}

/** Gives the batch at `state.position` the CRCs of its new segment; returns the state after it. */
function resealBatch(
  buffer: Buffer,
  state: LogState,
  target: { readonly number: number; readonly seed: number; readonly durableOffset: number; readonly segmentBytes: number },
): LogState {
  const { number, seed, durableOffset, segmentBytes } = target;
  const at = state.position;
  const facts = decodeBatchFacts(buffer, at);
  assert(facts.headerBytes === batchHeaderBytes(facts.indexEntries) && facts.sequence === state.nextSequence, 'only sound batches are rewritten');
  const end = at + facts.headerBytes + facts.bodyBytes;
  for (let recordAt = at + facts.headerBytes; recordAt < end; ) {
    sealRecord(buffer, recordAt, seed);
    recordAt = nextRecordAt(recordAt, recordAt + RECORD_HEADER_BYTES + buffer.readUInt32LE(recordAt + 4));
  }
  const chain = encodeBatchHeader({ ...facts, segment: number, durableOffset, previousCrc: state.chain }, buffer, at, seed);
  return {
    durableOffset: offsetOf(number, end, segmentBytes),
    segment: number,
    position: end,
    chain,
    nextSequence: facts.sequence + 1,
    receivedAtMs: facts.receivedAtMs,
    receivedAtUsPart: facts.receivedAtUsPart,
    runningTimeMs: facts.runningTimeMs,
  };
}
