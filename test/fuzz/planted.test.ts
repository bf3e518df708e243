/** Planted bugs: each fuzz target is given code that does wrong, and must find it in a bounded number of cases from a fixed seed. */

import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { createPartitioner, type Partitioner } from '../../engine/core/partition-key.ts';
import { RecordFlag } from '../../engine/core/record.ts';
import { partitionId } from '../../engine/core/types.ts';
import { parseConfig } from '../../engine/runtime/config.ts';
import { formToJson } from '../../ingress/http/form.ts';
import { splitRecords } from '../../ingress/http/split.ts';
import { type FuzzTarget, runTarget } from './target.ts';
import { formTarget, partitionTarget, splitTarget } from './targets/door.ts';
import { decodeTarget, identityTarget } from './targets/event.ts';
import { configurationTarget } from './targets/configuration.ts';
import { journalTarget } from './targets/journal.ts';
import { queryTarget } from './targets/query.ts';
import { storedTarget } from './targets/stored.ts';

const SEED = 7;
const PARTITIONS = 65_521;

/** A partitioner that looks at other bytes than it was given. */
function misled(change: (text: string) => string): Partitioner {
  const sound = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
  return {
    get partition() {
      return sound.partition;
    },
    get flags() {
      return sound.flags;
    },
    get scopeHash() {
      return sound.scopeHash;
    },
    locate(bytes, start, end) {
      const changed = Buffer.from(change(bytes.toString('latin1', start, end)), 'latin1');
      sound.locate(changed, 0, changed.byteLength);
    },
  };
}

const deaf: Partitioner = { partition: partitionId(0), flags: RecordFlag.none, scopeHash: 0, locate: () => undefined };

/** The configuration's errors in other words. */
const retold =
  (change: (text: string, given: string) => string): typeof parseConfig =>
  (schema, source) => {
    try {
      return parseConfig(schema, source);
    } catch (error) {
      throw error instanceof EngineError ? new EngineError(error.code, change(error.message, `${source.text} ${Object.values(source.env).join(' ')}`)) : error;
    }
  };

const PLANTED: readonly (readonly [what: string, target: () => FuzzTarget, cases: number])[] = [
  ['a partitioner that says the same for all', () => partitionTarget(deaf), 50],
  ['a byte search that takes an escaped key for another', () => partitionTarget(misled((text) => text.replaceAll('\\u0061', '\\u0062'))), 500],
  ['a byte search that does not see inner objects', () => partitionTarget(misled((text) => text.replace(/("x":)\{([^{}]*)\}/, '$1[],$2'))), 5_000],
  ['a split that does not read the last byte', () => splitTarget((bytes, start, end, max, lines) => splitRecords(bytes, start, Math.max(start, end - 1), max, lines)), 200],
  ['a split that takes every body for lines', () => splitTarget((bytes, start, end, max) => splitRecords(bytes, start, end, max, true)), 500],
  ['a form whose plus stays a plus', () => formTarget((text) => formToJson(text.replaceAll('+', '%2B'))), 500],
  ['a form that takes the first of two equal keys', () => formTarget((text) => formToJson(text.split('&').reverse().join('&'))), 500],
  ['a decoder that is sure of everything', () => decodeTarget((scanner, bytes, start, end) => scanner.scan(bytes, start, end) || true), 100],
  ['a decoder that does not look at the last byte', () => decodeTarget((scanner, bytes, start, end) => scanner.scan(bytes, start, end - 1)), 2_000],
  ['an identity that knows how a message was spelled', () => identityTarget((text, bytes) => `${text}${bytes.includes('\\u00') ? 'escaped' : ''}`), 500],
  ['a reader that raises what it does not name', () => storedTarget([{ name: 'number', sample: () => Buffer.from('12'), read: (bytes) => BigInt(bytes.toString()) }]), 200],
  ['a reader that believes a length', () => storedTarget([{ name: 'lengths', sample: () => Buffer.alloc(4), read: (bytes) => (bytes.byteLength < 4 ? 0 : Buffer.alloc(bytes.readUInt32LE(0) % 2 ** 28, 1).byteLength) }]), 500],
  ['a configuration error that does not say how to mend it', () => configurationTarget(retold((text) => text.replaceAll(/remove |set |write |mend /g, ''))), 100],
  ['a configuration error that shows what it was given', () => configurationTarget(retold((text, given) => `${text} ${given.replaceAll('\n', ' ')}`)), 500],
  ['a query that knows no cells', () => queryTarget([]), 50],
  ['a journal that is read as empty whatever happened', () => journalTarget(() => Promise.resolve([])), 50],
  ['a journal that raises an error of its own', () => journalTarget(() => Promise.reject(new RangeError('offset is out of bounds'))), 5],
];

describe('the fuzzer finds', () => {
  it.each(PLANTED)('%s', async (_, target, cases) => {
    const { failure } = await runTarget(target(), { seed: SEED, cases });
    expect(failure).not.toBeNull();
    expect(failure?.shrunk.byteLength).toBeLessThanOrEqual(failure?.input.byteLength ?? 0);
  });
});
