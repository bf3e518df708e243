/** A partition over the batches of several journals. */

import { describe, expect, it } from 'vitest';
import type { LogBatch } from '../../../engine/core/log.ts';
import { Verdict } from '../../../engine/core/record.ts';
import { MS_PER_MINUTE, type Offset } from '../../../engine/core/types.ts';
import { readVerdictLog, VerdictLogWriter } from '../../../engine/core/verdict-log.ts';
import { foldAll, newStore, openToy, saveTo, type ToyPartition } from './harness.ts';
import { logWith, sale, TEN } from './sales.ts';

/** The lake slot of the rules. */
const SLOT = 15 * MS_PER_MINUTE;

/** The batches of one log as if so many journals had held them in turn, each with offsets of its own. */
function dealt(batches: readonly LogBatch[], journals: number): LogBatch[] {
  const ends = new Array<number>(journals).fill(4_096);
  return batches.map((batch, at) => {
    const journal = at % journals;
    const offset = ends[journal] as number;
    const endOffset = offset + (batch.endOffset - batch.offset);
    ends[journal] = endOffset;
    return { ...batch, journal, offset: offset as Offset, endOffset: endOffset as Offset };
  });
}

function someLog(): LogBatch[] {
  const log = logWith();
  for (let at = 1; at <= 9; at++) log.batch(TEN + at, at % 4 === 0 ? [] : [sale(), sale()]);
  log.batch(TEN + SLOT);
  return log.batches;
}

const folded = (batches: readonly LogBatch[]): ToyPartition => {
  const partition = openToy(newStore());
  foldAll(partition, batches);
  return partition;
};

describe('batches of several journals', () => {
  it('come to the same state as those of one', () => {
    const batches = someLog();
    expect(folded(dealt(batches, 3)).stateHash()).toBe(folded(batches).stateHash());
  });

  it('go on after a restart in each journal where they had come to', async () => {
    const batches = dealt(someLog(), 3);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, batches.slice(0, 7));
    await saveTo(partition, store);
    const restarted = openToy(store);
    expect(restarted.offsets).toEqual(partition.offsets);
    expect(restarted.offsets).toHaveLength(3);
    foldAll(restarted, batches.slice(5));
    expect(restarted.stateHash()).toBe(folded(batches).stateHash());
  });

  it('need each journal from the first batch of it that a slot has rows of', async () => {
    const batches = dealt(someLog(), 2);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, batches);
    await saveTo(partition, store);
    const firsts = [0, 1].map((journal) => batches.find((batch) => batch.journal === journal && batch.slices.length > 0)?.offset);
    expect(partition.pendingSlotOffsets()).toEqual(firsts);
    expect(openToy(store).pendingSlotOffsets()).toEqual(firsts);
  });

  it('are found again by journal and offset in the share of a slot', () => {
    const batches = dealt(someLog(), 3);
    const [share] = folded(batches).takeShares();
    const places = [...readVerdictLog(share?.entries as Uint8Array)].map(({ journal, batchOffset }) => [journal, batchOffset]);
    expect(places).toEqual(batches.filter(({ slices }) => slices.length > 0).map(({ journal, offset }) => [journal, offset]));
  });

  it('go on in a second journal from a checkpoint that knew but one', async () => {
    const batches = someLog();
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, batches.slice(0, 5));
    await saveTo(partition, store);
    const restarted = openToy(store);
    expect(restarted.offsets).toHaveLength(1);
    const later = batches.slice(5).map((batch) => ({ ...batch, journal: 1 }));
    foldAll(restarted, later);
    expect(restarted.offsets).toEqual([partition.offset, batches.at(-1)?.endOffset]);
    expect(restarted.stateHash()).toBe(folded(batches).stateHash());
  });
});

describe('a verdict log', () => {
  it('costs nothing more where there is one journal, and three bytes where the journal changes', () => {
    const entry = [Uint8Array.of(Verdict.accepted), 1] as const;
    const one = new VerdictLogWriter();
    one.append(4_096 as Offset, 1, ...entry);
    one.append(4_200 as Offset, 2, ...entry);
    const two = new VerdictLogWriter();
    two.append(4_096 as Offset, 1, ...entry);
    two.append(4_096 as Offset, 2, ...entry, 1);
    two.append(4_200 as Offset, 3, ...entry, 1);
    expect(one.byteLength).toBe(9);
    expect([...readVerdictLog(two.bytes())].map(({ journal, batchOffset, firstSequence }) => [journal, batchOffset, firstSequence])).toEqual([[0, 4_096, 1], [1, 4_096, 2], [1, 4_200, 3]]);
    expect(two.byteLength).toBe(9 + 3 + 5);
  });
});
