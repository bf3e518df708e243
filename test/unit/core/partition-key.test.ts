import { describe, expect, it } from 'vitest';
import { hash32 } from '../../../engine/core/hash.ts';
import { topLevelTokens } from '../../../engine/core/json-tokens.ts';
import { createPartitioner } from '../../../engine/core/partition-key.ts';
import { RecordFlag } from '../../../engine/core/record.ts';

const PARTITIONS = 32;
const partitioner = createPartitioner({ scope: 'shop', users: ['user_id', 'card'], isPlaceholder: (value) => value === '0' }, PARTITIONS);

const locate = (body: string | Buffer): { partition: number; flags: number } => {
  const bytes = Buffer.from(body);
  partitioner.locate(bytes, 0, bytes.byteLength);
  return { partition: partitioner.partition, flags: partitioner.flags };
};
const hashOf = (text: string, seed = 0): number => hash32(Buffer.from(text), 0, Buffer.byteLength(text), seed);
const keyed = (scope: string, user: string): number => hashOf(user, hashOf(scope)) % PARTITIONS;

describe('the partitioner', () => {
  it('hashes scope and user', () => {
    expect(locate('{"shop":"s","user_id":"u"}')).toEqual({ partition: keyed('s', 'u'), flags: RecordFlag.none });
    expect(locate('{"user_id":12345678901234567890,"shop":"s"}')).toEqual({ partition: keyed('s', '12345678901234567890'), flags: RecordFlag.none });
  });

  it.each(['', 'null', '"0"', '""', '[]'])('takes the next user key where the first is %s', (value) => {
    const member = value === '' ? '' : `"user_id":${value},`;
    expect(locate(`{"shop":"s",${member}"card":"c"}`).partition).toBe(keyed('s', 'c'));
  });

  it.each(['{"shop":"s"}', '{"user_id":"u"}', '{}', '{"shop":"","user_id":"u"}', '{"shop":"s","user_id":"0"}'])('hashes the bytes of %s, which has no key', (body) => {
    expect(locate(body)).toEqual({ partition: hashOf(body) % PARTITIONS, flags: RecordFlag.none });
  });

  it('flags what is no JSON or no object, and still names a partition', () => {
    for (const body of ['', '{', '{"shop":"s"', '\ufeff{}']) expect(locate(body)).toEqual({ partition: hashOf(body) % PARTITIONS, flags: RecordFlag.malformed });
    for (const body of ['[]', '1', 'null', '"{}"']) expect(locate(body).flags).toBe(RecordFlag.notObject);
    expect(locate(Buffer.from([0x7b, 0x7d, 0xff])).flags).toBe(RecordFlag.malformed);
    expect(locate(Buffer.concat([Buffer.from('{"shop":"s","user_id":"u","x":"'), Buffer.from([0xff]), Buffer.from('"}')])).flags).toBe(RecordFlag.malformed);
  });

  it('clears the flags of the record before', () => {
    expect(locate('{').flags).toBe(RecordFlag.malformed);
    expect(locate('{"shop":"s","user_id":"u"}').flags).toBe(RecordFlag.none);
  });

  it('spreads users over all partitions', () => {
    const counts = new Array<number>(PARTITIONS).fill(0);
    for (let user = 0; user < 32_000; user++) {
      const { partition } = locate(`{"shop":"s","user_id":"u-${user}"}`);
      counts[partition] = (counts[partition] as number) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });

  it('refuses a partition count that is none', () => {
    expect(() => createPartitioner({ scope: 'a', users: [], isPlaceholder: () => false }, 0)).toThrow(/partition count/);
  });
});

describe('topLevelTokens', () => {
  it('gives the raw text of the last value of each wanted key', () => {
    const text = ' { "a" : 1.50 , "b":{"a":[2,"}"]},"c":"x\\"y", "a":1e5,"\\u0064":[ {} , "]" ] ,"e":true}';
    expect(Object.fromEntries(topLevelTokens(text, new Set(['a', 'b', 'c', 'd', 'e', 'f'])))).toEqual({ a: '1e5', b: '{"a":[2,"}"]}', c: '"x\\"y"', d: '[ {} , "]" ]', e: 'true' });
    expect(topLevelTokens('{}', new Set(['a'])).size).toBe(0);
  });
});
