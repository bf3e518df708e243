/**
 * What is read back from disk, from sinks and from clients: hostile bytes give a value or the error that the reader names, and what was
 * written is read back as it was.
 */

import { decodeTailCursor, encodeTailCursor } from '../../../engine/admin-tail-cursor.ts';
import { CellCodec } from '../../../actors/partition/cell-codec.ts';
import { DeadLetters } from '../../../actors/partition/dead-letters.ts';
import { decodeRetry } from '../../../actors/partition/letter-codec.ts';
import { DedupeRuns } from '../../../actors/partition/dedupe-runs.ts';
import { parseRunKey, runKey } from '../../../actors/partition/dedupe-run.ts';
import { TABLES } from '../../../actors/partition/options.ts';
import { Outbox } from '../../../actors/partition/outbox.ts';
import { readState } from '../../../actors/partition/checkpoint-state.ts';
import { CellKind, cellStoreKey, parseCellStoreKey } from '../../../engine/core/cell.ts';
import { pack } from '../../../engine/core/codec.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { hash32 } from '../../../engine/core/hash.ts';
import { slotName } from '../../../engine/core/lake-slot.ts';
import { decodeControl, encodeControl } from '../../../engine/core/rules.ts';
import { offset } from '../../../engine/core/types.ts';
import { JOURNALS_MAX } from '../../../engine/core/log.ts';
import { readVerdictLog, VerdictLogWriter } from '../../../engine/core/verdict-log.ts';
import { batchHeaderIsSound } from '../../../engine/log/batch-format.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { parseVersion } from '../../../sinks/lake/target.ts';
import { parseProgress, parseSlotName } from '../../../sinks/lake/spool.ts';
import { decodeCursor, encodeCursor } from '../../../sinks/live/cursor.ts';
import { changeKey, decodeBlock, decodeCell, encodeBlock, encodeCell, parseChangeKey } from '../../../sinks/live/encode.ts';
import { LIVE_TABLES, LiveStore } from '../../../sinks/live/index.ts';
import { parseMarker } from '../../../sinks/redis/sink.ts';
import { IDENTITY, merged } from '../../unit/live/helpers.ts';
import { Random } from '../json-bytes.ts';
import { type FuzzTarget, require, requireEqual } from '../target.ts';

/** Heap that one read of some hundred bytes may take. Chosen: far above what any takes, far below what an unchecked length makes. */
const HEAP_BYTES_MAX = 64 * 1024 * 1024;

export interface Reader {
  readonly name: string;
  /** Something it reads well. */
  readonly sample: (random: Random) => Uint8Array;
  readonly read: (bytes: Buffer) => unknown;
  /** Whether this is the error that it names for what it cannot read. */
  readonly refuses?: (error: unknown) => boolean;
}

const isCode = (...codes: readonly string[]) => (error: unknown): boolean => error instanceof EngineError && codes.includes(error.code);
const isBug = (error: unknown): boolean => error instanceof Error && error.message.startsWith('bug: ');
const text = (value: string): Uint8Array => Buffer.from(value);

const SHAPE = { measures: ['installs', 'revenue_micros'], labels: ['campaign'] };
const EXPECTED = { instance: 'i', partition: 1, partitionCount: 4, pipeline: 'p', dimensions: ['a'] };
const sampleCell = (random: Random) => merged({ revision: random.below(1_000), measures: [random.below(100), -random.below(10 ** 9)], breakdown: random.below(2) === 0 ? null : { af_purchase: random.below(9) } });

function verdictLog(random: Random): Uint8Array {
  const writer = new VerdictLogWriter();
  let [at, sequence] = [0, 0];
  for (let count = random.below(5); count > 0; count--) {
    const verdicts = Uint8Array.from({ length: 1 + random.below(40) }, () => random.below(4));
    at += random.below(2 ** 31) * 8;
    writer.append(offset(at), (sequence += random.below(1_000)), verdicts, verdicts.byteLength, random.below(3));
  }
  return writer.bytes();
}

/** A store with one value in it. */
const storeOf = (tables: readonly string[], table: string, key: Uint8Array, value: Uint8Array) => {
  const store = memoryStore(tables);
  void store.commit([{ table, key, value }]);
  return store;
};

const deadLetter = (): Uint8Array => pack([1, 1_700_000_000_000, 1, 5, 0, 3, Uint8Array.of(1, 2, 3)]);
const deadKey = Buffer.alloc(12, 0);
deadKey[7] = 1;
const CELL_NAME = { kind: CellKind.hour, windowStartMs: 3_600_000, dimensions: 'a' } as const;

/** Readers of our own values; the journal's are behind a CRC, and raise assertions. */
export const READERS: readonly Reader[] = [
  { name: 'verdict log', sample: verdictLog, read: (bytes) => [...readVerdictLog(bytes)], refuses: isBug },
  { name: 'control record', sample: () => encodeControl({ type: 'generation', generation: 1, instance: 'i', partitionCount: 4 }), read: decodeControl, refuses: (error) => isBug(error) || error instanceof SyntaxError || error instanceof TypeError },
  { name: 'batch header', sample: () => Buffer.alloc(96, 1), read: (bytes) => batchHeaderIsSound(bytes, 0, bytes.byteLength, 0) },
  { name: 'partition cell', sample: (random) => pack([0, random.below(9), 1, [1, 2], ['a'], [1], [1], ['t']]), read: (bytes) => new CellCodec(SHAPE, [SHAPE]).decode(CELL_NAME, bytes), refuses: isCode('STATE_CORRUPT') },
  { name: 'partition state', sample: () => pack({ format: 1, identity: EXPECTED, sequence: 1 }), read: (bytes) => readState(storeOf(Object.values(TABLES), TABLES.meta, text('state'), bytes), EXPECTED), refuses: isCode('STATE_CORRUPT', 'DATA_VERSION', 'DATA_DIR_FOREIGN') },
  { name: 'dedupe run key', sample: (random) => runKey({ bucket: random.below(9), epoch: random.below(99), level: 0 }, random.below(9)), read: parseRunKey, refuses: isCode('STATE_CORRUPT') },
  { name: 'dedupe run', sample: (random) => new Uint8Array(16 * (1 + random.below(4))), read: (bytes) => new DedupeRuns(storeOf(['d'], 'd', runKey({ bucket: 1, epoch: 1, level: 0 }, 0), bytes), 'd').restore(() => undefined), refuses: isCode('STATE_CORRUPT') },
  { name: 'dedupe meta', sample: () => text('{"version":1,"bucketMin":3,"merging":{"bucket":4,"epoch":5,"level":1}}'), read: (bytes) => new DedupeRuns(storeOf(['d'], 'd', Uint8Array.of(0), bytes), 'd').restore(() => undefined), refuses: isCode('STATE_CORRUPT', 'DATA_VERSION') },
  { name: 'dead letter', sample: deadLetter, read: (bytes) => readDeadLetter(bytes), refuses: isCode('STATE_CORRUPT') },
  { name: 'dead letter retry', sample: () => pack([2, 3, 1, 1_700_000_000_000]), read: decodeRetry, refuses: isCode('STATE_CORRUPT') },
  { name: 'outbox', sample: outboxEntry, read: (bytes) => readOutbox(bytes), refuses: isCode('STATE_CORRUPT') },
  { name: 'spool progress', sample: (random) => text(`{"version":1,"slot":"${slotName({ startMs: random.below(2 ** 31) * 1_000, part: 0 })}"}`), read: (bytes) => parseProgress(bytes, 'progress.json'), refuses: isCode('STATE_CORRUPT', 'DATA_VERSION') },
  { name: 'live cell', sample: (random) => encodeCell({ cell: sampleCell(random), changeNumber: 4 }), read: (bytes) => decodeCell(cellStoreKey(CELL_NAME), bytes, 2), refuses: isCode('STATE_CORRUPT') },
  { name: 'live block', sample: (random) => encodeBlock([sampleCell(random), sampleCell(random)]), read: (bytes) => decodeBlock(bytes, 2), refuses: isCode('STATE_CORRUPT') },
  { name: 'live state', sample: () => pack({ latest: 0, sequences: [0, 0], finalUpToMs: 0, watermarkMs: -1, asOfMs: -1, counters: {} }), read: (bytes) => LiveStore.open({ ...IDENTITY, store: storeOf(LIVE_TABLES, 'meta', text('state'), bytes) }), refuses: isCode('STATE_CORRUPT', 'DATA_VERSION', 'DATA_DIR_FOREIGN') },
  { name: 'live mark', sample: () => pack(7), read: (bytes) => LiveStore.open({ ...IDENTITY, store: storeOf(LIVE_TABLES, 'marks', text('redis'), bytes) }), refuses: isCode('STATE_CORRUPT') },
  { name: 'query cursor', sample: (random) => text(encodeCursor({ fingerprint: 'f'.repeat(16), position: { sortValues: [BigInt(random.below(99)), 'x'], windowStartMs: 1, dimensions: ['a'] } })), read: (bytes) => decodeCursor(bytes.toString()) },
  { name: 'tail cursor', sample: () => text('a.1-.-zz.0'), read: (bytes) => decodeTailCursor(bytes.toString(), 3), refuses: isCode('QUERY_INVALID') },
  { name: 'redis marker', sample: () => text('{"instance":"i","generation":1,"settled":2}'), read: (bytes) => parseMarker(bytes.toString()) },
  { name: 'lake slot name', sample: (random) => text(slotName({ startMs: random.below(2 ** 31) * 1_000, part: random.below(20_000) })), read: (bytes) => parseSlotName(bytes.toString()) },
  { name: 'lake object version', sample: () => text('12'), read: (bytes) => parseVersion(bytes.toString(), bytes.toString()) },
];

/** Key and value of an outbox: the head of a slot, which counts as chunk 0, or a chunk without one. */
function outboxEntry(random: Random): Uint8Array {
  const key = Buffer.alloc(16);
  key.writeBigUInt64BE(BigInt(random.below(2 ** 31)) * 1_000n, 0);
  key.writeUInt32BE(random.below(3) === 0 ? 1 : 0, 12);
  return Buffer.concat([key, pack([0, 'id', random.below(99), random.below(9), random.below(999) * 8, random.below(2) === 0])]);
}

function readOutbox(entry: Buffer): unknown {
  const key = Buffer.alloc(16);
  entry.copy(key);
  const outbox = new Outbox(1, storeOf(Object.values(TABLES), TABLES.outbox, key, entry.subarray(16)));
  return [outbox.takeShares(), outbox.pendingOffsets([offset(0)])];
}

function readDeadLetter(value: Uint8Array): unknown {
  const letters = new DeadLetters(storeOf(Object.values(TABLES), TABLES.dead, deadKey, value));
  letters.restore({ nextId: 2, expired: 0, floorId: 1, strata: [[1, 1, 1, 300, 0, 0]] });
  return letters.newest(10);
}

/** Bytes that lead readers of msgpack, JSON and numbers astray: huge lengths, deep nesting, unknown types. */
const BAITS = ['dfffffffff', 'ddffffffff', 'dbffffffff', 'c6ffffffff', 'c9ffffffff01', 'd472', 'd474', 'c1', 'ffffffffffffffffffff', '9191919191919191', 'cfffffffffffffffff', 'cb7ff8000000000000', 'c0', '80', '90', 'a0', '7b7d', '5b5d', '6e756c6c', '2d31', '31653430', '00'].map((hex) => Buffer.from(hex, 'hex'));

function damaged(random: Random, sample: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(sample);
  for (let count = random.below(5); count > 0; count--) {
    const at = random.below(bytes.byteLength + 1);
    const to = Math.min(bytes.byteLength, at + random.below(8));
    const kind = random.below(5);
    if (kind === 0 && at < bytes.byteLength) bytes[at] = random.below(256);
    else if (kind === 1) bytes = bytes.subarray(0, at);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), random.pick(BAITS), bytes.subarray(to)]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
  }
  return Buffer.from(bytes);
}

export function storedTarget(readers: readonly Reader[] = READERS): FuzzTarget {
  return {
    name: 'stored',
    generate(random) {
      const index = random.below(readers.length);
      return Buffer.concat([Buffer.of(index), damaged(random, (readers[index] as Reader).sample(random))]);
    },
    check(input) {
      const reader = readers[(input[0] ?? 0) % readers.length] as Reader;
      const before = process.memoryUsage.rss();
      try {
        reader.read(Buffer.from(input.subarray(1)));
      } catch (error) {
        if (reader.refuses?.(error) !== true) throw new Error(`${reader.name} raised ${String(error)}`, { cause: error });
      }
      const grown = process.memoryUsage.rss() - before;
      require(grown < HEAP_BYTES_MAX, `${reader.name} took ${grown} bytes`);
    },
  };
}

const ROUND_TRIPS: readonly ((random: Random) => void)[] = [
  (random) => {
    const entries = Array.from({ length: random.below(6) }, (_, index) => ({ journal: random.below(2) * random.below(JOURNALS_MAX), batchOffset: offset((index + 1) * 8 * (1 + random.below(2 ** 31))), firstSequence: index * random.below(2 ** 31), verdicts: [...Array.from({ length: 1 + random.below(30) }, () => random.below(4))] }));
    entries.sort((left, right) => left.batchOffset - right.batchOffset);
    let sequence = 0;
    const writer = new VerdictLogWriter();
    const written = entries.map((entry) => ({ ...entry, firstSequence: (sequence += entry.firstSequence) }));
    for (const entry of written) writer.append(entry.batchOffset, entry.firstSequence, Uint8Array.from(entry.verdicts), entry.verdicts.length, entry.journal);
    requireEqual([...readVerdictLog(writer.bytes())].map((entry) => ({ ...entry, verdicts: [...entry.verdicts] })), written, 'verdict log');
  },
  (random) => {
    const number = random.below(2 ** 31) * random.below(2 ** 17);
    requireEqual(parseChangeKey(changeKey(number)), number, 'change number');
  },
  (random) => {
    const cellName = { kind: random.pick(Object.values(CellKind)), windowStartMs: random.below(2 ** 31) * random.below(2 ** 17), dimensions: random.pick(['a', 'é\u001f東', '', '\ud83d\ude80']) };
    requireEqual(parseCellStoreKey(cellStoreKey(cellName)), cellName, 'cell key');
  },
  (random) => {
    const cells = [sampleCell(random), sampleCell(random)];
    requireEqual(decodeBlock(encodeBlock(cells), 2), cells, 'live block');
    const numbered = { cell: sampleCell(random), changeNumber: random.below(2 ** 31) * random.below(2 ** 20) };
    requireEqual(decodeCell(cellStoreKey(numbered.cell), encodeCell(numbered), 2), numbered, 'live cell');
  },
  (random) => {
    const slot = { startMs: random.below(2 ** 31) * 1_000, part: random.below(20_000) };
    requireEqual(parseSlotName(slotName(slot)), slot, 'slot name');
  },
  (random) => {
    const name = { bucket: random.below(2 ** 31) * 2, epoch: random.below(2 ** 31) * random.below(2 ** 17), level: random.pick([0, 1] as const) };
    const chunk = random.below(2 ** 24);
    requireEqual(parseRunKey(runKey(name, chunk)), { name, chunk }, 'run key');
  },
  (random) => {
    const cursor = Array.from({ length: 3 }, () => (random.below(3) === 0 ? null : { batchSequence: random.below(2 ** 31) * random.below(2 ** 20), index: random.below(2 ** 31) }));
    requireEqual(decodeTailCursor(encodeTailCursor(cursor), 3), cursor, 'tail cursor');
  },
];

/** What is written is read back as it was. The input is a seed. */
export function roundTripTarget(): FuzzTarget {
  return {
    name: 'round-trip',
    generate: (random) => Buffer.of(random.below(256), random.below(256), random.below(256), random.below(256)),
    check(input) {
      const random = new Random(hash32(input, 0, input.byteLength, 3));
      for (const roundTrip of ROUND_TRIPS) roundTrip(random);
    },
  };
}
