/** A value of the live store whose bytes changed on disk is refused by name, not as a bug of the program. */

import { describe, expect, it } from 'vitest';
import { pack } from '../../../engine/core/codec.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES } from '../../../sinks/live/index.ts';
import { changeKey } from '../../../sinks/live/encode.ts';
import { openLive } from './helpers.ts';

const text = (value: string): Uint8Array => Buffer.from(value);

const DAMAGED: readonly (readonly [what: string, table: string, key: Uint8Array, value: Uint8Array])[] = [
  ['a state that is cut', 'meta', text('state'), pack({ latest: 1, sequences: [0, 0] }).subarray(0, 9)],
  ['a state of another kind', 'meta', text('state'), pack(7)],
  ['a state with too few partitions', 'meta', text('state'), pack({ latest: 1, sequences: [0] })],
  ['an identity of another kind', 'meta', text('identity'), pack([1])],
  ['a mark that is no number', 'marks', text('redis'), pack('x')],
  ['a block that is cut', 'blocks', changeKey(1), pack([1, 2, 3]).subarray(0, 2)],
];

describe('a damaged live store', () => {
  it.each(DAMAGED)('is refused as STATE_CORRUPT: %s', async (_, table, key, value) => {
    const store = memoryStore(LIVE_TABLES);
    await store.commit([{ table, key, value }]);
    expect(() => openLive(store)).toThrow(expect.objectContaining({ code: 'STATE_CORRUPT' }) as Error);
  });
});
