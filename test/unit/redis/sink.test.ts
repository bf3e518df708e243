import { describe, expect, test } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { isCluster, parseRedisUrl, redisOptionsSchema } from '../../../sinks/redis/options.ts';
import { changedValues, commonMarker, parseMarker } from '../../../sinks/redis/sink.ts';
import { cellOf, joined } from '../../conformance/memory-feed.ts';

describe('the values on which changed cells show', () => {
  const cell = (kind: CellKind, windowStartMs: number, key: string, country: string, updatedAtMs: number) => cellOf({ kind, windowStartMs, dimensions: joined(key, 'app', 'net', country, 'phone'), updatedAtMs });

  test('are one per kind, window and key, however many cells changed; late cells show on their hour', () => {
    const values = changedValues([
      cell(CellKind.hour, 0, 'a', 'DE', 5),
      cell(CellKind.hour, 0, 'a', 'FR', 9),
      cell(CellKind.late, 0, 'a', 'FR', 7),
      cell(CellKind.day, 0, 'a', 'FR', 7),
      cell(CellKind.late, 3_600_000, 'b', 'FR', 7),
    ]);
    expect(values).toEqual([
      { kind: 'hour', windowStartMs: 0, resultKey: 'a', updatedAtMs: 9 },
      { kind: 'day', windowStartMs: 0, resultKey: 'a', updatedAtMs: 7 },
      { kind: 'hour', windowStartMs: 3_600_000, resultKey: 'b', updatedAtMs: 7 },
    ]);
  });
});

describe('markers', () => {
  const marker = (generation: number, settled: number) => ({ instance: 'i', generation, settled });

  test.each(['', 'nonsense', '[]', 'null', '7', '{"instance":"i"}', '{"instance":"i","generation":-1,"settled":0}', '{"instance":"i","generation":1,"settled":1e99}'])('%j is none of ours', (text) => {
    expect(parseMarker(text)).toBeNull();
  });

  test('of several nodes: the lowest mark, 0 where one has none, and the newest generation', () => {
    expect(parseMarker(JSON.stringify(marker(1, 2)))).toEqual(marker(1, 2));
    expect(commonMarker([null, null])).toBeNull();
    expect(commonMarker([marker(1, 9), marker(1, 7), marker(1, 8)])).toEqual(marker(1, 7));
    expect(commonMarker([marker(1, 9), null])).toEqual(marker(1, 0));
    expect(commonMarker([marker(1, 9), marker(2, 4)])).toEqual(marker(2, 0));
  });
});

describe('the address', () => {
  test.each([
    ['redis://localhost', [['localhost', 6379]], { tls: false, database: 0 }],
    ['rediss://user:p%40ss@h:7000/3', [['h', 7000]], { tls: true, username: 'user', password: 'p@ss', database: 3 }],
    ['redis://:secret@a:1,b:2,c', [['a', 1], ['b', 2], ['c', 6379]], { username: '', password: 'secret' }],
    ['rediss://a:1,rediss://b:2', [['a', 1], ['b', 2]], { tls: true }],
    ['redis://[::1]:6380', [['::1', 6380]], {}],
  ])('%s', (url, addresses, rest) => {
    expect(parseRedisUrl(url)).toMatchObject({ addresses: addresses.map(([host, port]) => ({ host, port })), ...rest });
  });

  test.each(['localhost:6379', 'http://h', 'redis://', 'redis://h:99999', 'redis://a,,b', 'redis://a,rediss://b', 'redis://h/db', 'redis://h?x=1', 'redis://:100%@h', 'redis://:a#b@h'])('%s is refused with what is wrong, without the password', (url) => {
    const result = redisOptionsSchema.safeParse({ url });
    expect(result.success).toBe(false);
    expect(result.error?.issues[0]).toMatchObject({ path: ['url'] });
    expect(result.error?.issues[0]?.message).not.toContain('100%@');
  });

  test('several addresses are a cluster, and a cluster has no databases', () => {
    expect(isCluster(redisOptionsSchema.parse({ url: 'redis://a,b' }))).toBe(true);
    expect(isCluster(redisOptionsSchema.parse({ url: 'redis://a', cluster: 'true' }))).toBe(true);
    expect(isCluster(redisOptionsSchema.parse({ url: 'redis://a' }))).toBe(false);
    expect(redisOptionsSchema.safeParse({ url: 'redis://a,b/2' }).success).toBe(false);
  });

  test('settings that are not known are refused', () => {
    expect(redisOptionsSchema.safeParse({ url: 'redis://a', ttl: 1 }).success).toBe(false);
  });
});
