import { describe, expect, it } from 'vitest';
import { memoryStore } from '../../../engine/state/index.ts';
import { key, storeSuite } from './store-suite.ts';

storeSuite('a store in memory', async () => memoryStore(['a', 'b']));

describe('faults of a store in memory', () => {
  it('loses in a power loss what was committed but not flushed', async () => {
    const store = memoryStore(['a']);
    await store.commit([{ table: 'a', key: key(1), value: key(1) }, { table: 'a', key: key(2), value: key(2) }]);
    await store.flushed();
    await store.commit([{ table: 'a', key: key(1), value: key(9) }, { table: 'a', key: key(2), value: null }]);
    await store.commit([{ table: 'a', key: key(1), value: key(10) }, { table: 'a', key: key(3), value: key(3) }]);
    store.powerLoss();
    expect([...store.range('a', {})].map((entry) => [entry.key[0], entry.value[0]])).toEqual([[1, 1], [2, 2]]);
  });

  it('keeps as many of them as it is told, the oldest', async () => {
    const store = memoryStore(['a']);
    for (const value of [1, 2, 3]) await store.commit([{ table: 'a', key: key(1), value: key(value) }, { table: 'a', key: key(10 + value), value: key(value) }]);
    store.powerLoss((transactions) => transactions - 1);
    expect([...store.range('a', {})].map((entry) => [entry.key[0], entry.value[0]])).toEqual([[1, 2], [11, 1], [12, 2]]);
  });

  it('rejects one commit with the asked code and takes the next', async () => {
    const store = memoryStore(['a']);
    store.failNextCommit('DISK_FULL');
    await expect(store.commit([{ table: 'a', key: key(1), value: key(1) }])).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(store.get('a', key(1))).toBeNull();
    await store.commit([{ table: 'a', key: key(1), value: key(1) }]);
    expect(store.get('a', key(1))?.[0]).toBe(1);
  });
});
