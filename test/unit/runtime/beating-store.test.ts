import { describe, expect, it } from 'vitest';
import { beatingStore } from '../../../engine/runtime/beating-store.ts';
import { memoryStore } from '../../../engine/state/memory-store.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';

describe('a store whose reads beat', () => {
  it('beats with each value and each entry, before its reader goes on, and changes none', async () => {
    const progress = SharedWords.create(1).progress(0);
    const plain = memoryStore(['a']);
    await plain.commit([1, 2, 3].map((at) => ({ table: 'a', key: Uint8Array.of(at), value: Uint8Array.of(at) })));
    const store = beatingStore(plain, progress);
    expect(store.get('a', Uint8Array.of(2))).toEqual(Uint8Array.of(2));
    expect(progress.beats).toBe(1);
    const seen = [];
    for (const { value } of store.range('a', {})) seen.push([value[0], progress.beats]);
    expect(seen).toEqual([[1, 2], [2, 3], [3, 4]]);
  });
});
