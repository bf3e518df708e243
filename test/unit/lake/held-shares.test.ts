import { describe, expect, it } from 'vitest';
import type { SlotShare } from '../../../engine/core/lake-slot.ts';
import { partitionId } from '../../../engine/core/types.ts';
import type { DirectFiles } from '../../../sinks/lake/files.ts';
import { HeldShares } from '../../../sinks/lake/held-shares.ts';

/** A folder in memory whose files cannot be removed. */
function stubborn(): DirectFiles {
  const files = new Map<string, Uint8Array>();
  return {
    read: (path) => files.get(path) as Uint8Array,
    write: (path, bytes) => void files.set(path, Uint8Array.from(bytes)),
    writeSynced: (path, bytes) => void files.set(path, Uint8Array.from(bytes)),
    rename: () => undefined,
    removeTree: () => {
      throw Object.assign(new Error('EIO: removal failed'), { code: 'EIO' });
    },
    makeFolders: () => undefined,
  };
}

const share = (startMs: number, entries: number[]): SlotShare => ({ slot: { startMs, part: 0 }, partition: partitionId(0), dedupe: 'push-ms', rowCount: 1, entries: Uint8Array.from(entries) });

describe('shares that were put on disk', () => {
  it('are replaced and dropped although their file cannot be removed', () => {
    const held = new HeldShares({ partitionCount: 1, memoryBytesMax: 0, directory: '/held', files: stubborn() });
    held.add(share(1_000, [1, 2, 3]));
    held.add(share(1_000, [1, 2, 3]));
    expect([...(held.sharesOf({ startMs: 1_000, part: 0 })[0]?.entries ?? [])]).toEqual([1, 2, 3]);
    held.dropUpTo({ startMs: 1_000, part: 0 });
    expect(held.oldestComplete()).toBeNull();
    expect(held.slotCount).toBe(0);
  });
});
