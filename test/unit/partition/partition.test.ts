import { describe, expect, it } from 'vitest';
import { CellKind, type CellName, type PartialCell } from '../../../engine/core/cell.ts';
import { pack } from '../../../engine/core/codec.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { RecordFlag, REJECT_CODES, VERDICT_NAMES } from '../../../engine/core/record.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, partitionId } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, openToy, saveTo, type ToyPartition } from './harness.ts';
import { LogBuilder, shifted, sliceOf, TestCursor, type TestRecord } from './log-builder.ts';
import { generationControl, INSTANCE, rulesControl, toyPipeline, toyRules } from './toy-pipeline.ts';
import type { Rules } from '../../../engine/core/rules.ts';

/** 2026-11-20T10:00:00Z. */
const TEN = 1_795_168_800_000;
let ids = 0;

interface SaleChanges {
  readonly t?: number;
  readonly id?: string | null;
  readonly shop?: string;
  readonly city?: string;
  readonly paid?: number;
  readonly kind?: string;
  readonly name?: string;
}

function sale(changes: SaleChanges = {}): TestRecord {
  const { id = `id${ids++}`, ...rest } = changes;
  return { payload: JSON.stringify({ t: TEN, shop: 's', city: 'c', paid: 1, ...rest, ...(id === null ? {} : { id }) }) };
}

/** A log whose first batch carries generation and rules. */
function logWith(changes: Partial<Rules> = {}, atMs = TEN): LogBuilder {
  const log = new LogBuilder();
  log.batch(atMs, [], [generationControl(), rulesControl(changes)]);
  return log;
}

/** Silence as the journal writes it: a tick a second. */
function tickUntil(log: LogBuilder, fromMs: number, toMs: number): void {
  for (let atMs = fromMs; atMs <= toMs; atMs += 1_000) log.batch(atMs);
}

const folded = (log: LogBuilder): ToyPartition => {
  const partition = openToy(newStore());
  foldAll(partition, log.batches);
  return partition;
};
const verdicts = (partition: ToyPartition): string[] =>
  partition.tail(100).reverse().map(({ verdict, rejectCode }) => (rejectCode < 0 ? VERDICT_NAMES[verdict] : (REJECT_CODES[rejectCode] as string)));
const cellsOf = (partition: ToyPartition): string[] =>
  partition.report('all').cells.map(({ kind, windowStartMs, dimensions, records }) => `${kind} ${new Date(windowStartMs).toISOString().slice(5, 13)} ${dimensions.replace('\u001f', '/')} ${records}`).sort();
const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return error instanceof EngineError ? error.code : String(error);
  }
  return 'nothing raised';
};

describe('the verdict on a record', () => {
  it('is given in order: poison, flags, decoding, event time, identity, repeat, lateness', () => {
    const log = logWith();
    const repeated = sale({ t: TEN - 3 * MS_PER_HOUR });
    log.batch(TEN + 1, [
      { payload: '{"t":1}', flags: RecordFlag.malformed },
      { payload: '7', flags: RecordFlag.notObject },
      { payload: '{' },
      { payload: '{"t":"x"}' },
      sale({ t: -1 }),
      sale({ t: 2 ** 48 }),
      sale({ t: TEN + 5 * MS_PER_MINUTE + 2 }),
      sale({ t: TEN + 5 * MS_PER_MINUTE + 1 }),
      sale({ id: null }),
      sale({ t: TEN }),
      repeated,
      repeated,
      sale(),
    ]);
    const current = new Float64Array(3);
    const partition = openToy(newStore(), { current, isPoison: (sequence, index) => sequence === 1 && index === 12 });
    foldAll(partition, log.batches);
    expect(verdicts(partition)).toEqual([
      'NOT_JSON', 'NOT_OBJECT', 'NOT_JSON', 'BAD_EVENT_TIME', 'BAD_EVENT_TIME', 'BAD_EVENT_TIME', 'FUTURE_EVENT_TIME', 'accepted', 'NO_IDENTITY', 'accepted', 'late', 'duplicate', 'POISON',
    ]);
    const { received, accepted, duplicate, late, rejected } = partition.report('changed');
    expect([received, accepted, duplicate, late, rejected]).toEqual([13, 2, 1, 1, 9]);
    expect(partition.stats().rejects).toMatchObject({ NOT_JSON: 2, POISON: 1, FUTURE_EVENT_TIME: 1 });
  });

  it('leaves a rejected record no fingerprint: it counts when it comes again and is good', () => {
    const log = logWith();
    const early = sale({ t: TEN + 10 * MS_PER_MINUTE });
    log.batch(TEN + 1, [early]);
    log.batch(TEN + 6 * MS_PER_MINUTE, [early]);
    expect(verdicts(folded(log))).toEqual(['FUTURE_EVENT_TIME', 'accepted']);
  });

  it('counts every delivery when dedupe is off, and forgets an identity after the horizon of running time', () => {
    const log = logWith({ dedupe: 'none' });
    const again = sale();
    log.batch(TEN, [again, again, sale({ id: null })]);
    expect(verdicts(folded(log))).toEqual(['accepted', 'accepted', 'accepted']);

    // An outage of ten hours is two seconds of running time: nothing is forgotten.
    const short = logWith({ dedupeHorizonMs: MS_PER_HOUR, allowedLatenessMs: 12 * MS_PER_HOUR });
    short.batch(TEN, [again]);
    short.batch(TEN + 10 * MS_PER_HOUR, [again]);
    for (let at = 1; at <= 3_700; at++) short.batch(TEN + 10 * MS_PER_HOUR + at * 2_000);
    short.batch(TEN + 13 * MS_PER_HOUR, [again]);
    expect(verdicts(folded(short))).toEqual(['accepted', 'duplicate', 'accepted']);
  });

  it('needs rules before the first record', () => {
    const log = new LogBuilder();
    log.batch(TEN, [sale()]);
    expect(() => folded(log)).toThrow('a record came before any rules');
  });

  it('names the record in the shared words while it folds it, and no record while the store or the journal fails', () => {
    const current = new Float64Array(3);
    let seen: number[] = [];
    const partition = openPartition(
      { ...toyPipeline, decode: (...bytes) => ((seen = [...current]), toyPipeline.decode(...bytes)) },
      { ...newStoreParts(), get: (table: string) => (table === 'cells' ? failRead() : null) },
      { current },
    );
    const log = logWith();
    log.batch(TEN, [{ payload: '{' }, sale()]);
    expect(codeOf(() => foldAll(partition, log.batches))).toBe('STATE_CORRUPT');
    expect(seen).toEqual([1, 1, 1]);
    expect([...current]).toEqual([1, 1, 0]);

    const broken = new TestCursor();
    const damaged = openToy(newStore(), { current });
    const next = broken.next.bind(broken);
    let reads = 0;
    broken.next = () => (++reads === 2 ? failRead() : next());
    expect(codeOf(() => log.batches.forEach((batch) => damaged.fold(batch, sliceOf(batch, 0), broken)))).toBe('STATE_CORRUPT');
    expect([...current]).toEqual([1, 0, 0]);
  });
});

function failRead(): never {
  throw new EngineError('STATE_CORRUPT', 'the disk is gone');
}

/** A store as a plain object, so that one method can be replaced. */
function newStoreParts() {
  const store = newStore();
  return {
    get: store.get.bind(store),
    range: store.range.bind(store),
    commit: store.commit.bind(store),
    flushed: store.flushed.bind(store),
    copyTo: store.copyTo.bind(store),
    sizeBytes: store.sizeBytes.bind(store),
    close: store.close.bind(store),
  };
}

describe('time', () => {
  it('lets the watermark follow events, but not past the time of receipt, and never back', () => {
    const log = logWith();
    log.batch(TEN, [sale({ t: TEN - 5_000 })]);
    log.batch(TEN + 1, [sale({ t: TEN + MS_PER_MINUTE })]);
    log.batch(TEN + 2, [sale({ t: TEN - 60_000 })]);
    const partition = openToy(newStore());
    const marks = log.batches.map((batch) => (foldAll(partition, [batch]), partition.report('changed').watermarkMs));
    expect(marks).toEqual([-1, TEN - 5_000, TEN + 1, TEN + 1]);
  });

  it('lets an idle partition follow the clock of the log, by running time: an outage makes nobody idle', () => {
    const log = logWith();
    log.batch(TEN, [sale({ t: TEN - 1_000 })]);
    log.batch(TEN + 8 * MS_PER_HOUR);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN - 1_000);
    tickUntil(log, TEN + 8 * MS_PER_HOUR + 1_000, TEN + 8 * MS_PER_HOUR + 57_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN - 1_000);
    tickUntil(log, TEN + 8 * MS_PER_HOUR + 58_000, TEN + 8 * MS_PER_HOUR + 58_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + 8 * MS_PER_HOUR - 2_000);
  });

  it('is not moved by rejected records, nor does one keep a partition from being idle', () => {
    const log = logWith();
    for (let at = 0; at <= 60; at++) log.batch(TEN + at * 1_000, [{ payload: '{' }]);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN);
  });

  it('is moved by repeats as by their originals', () => {
    const log = logWith();
    const again = sale({ t: TEN + 4 * MS_PER_MINUTE });
    log.batch(TEN, [again]);
    tickUntil(log, TEN + 1_000, TEN + 59_000);
    log.batch(TEN + MS_PER_MINUTE, [again]);
    // Not idle, and the event is no longer ahead of its receipt.
    log.batch(TEN + 61_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + MS_PER_MINUTE);
    log.batch(TEN + 5 * MS_PER_MINUTE, [again]);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + 4 * MS_PER_MINUTE);
  });

  it('closes an hour once the watermark has passed its end and the lateness, which changes its cells once more', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ t: TEN })]);
    const last = TEN + MS_PER_HOUR + 5 * MS_PER_MINUTE;
    log.batch(last - 1, [sale({ t: last - 1 }), sale({ t: TEN + MS_PER_HOUR - 1 })]);
    const partition = folded(log);
    expect(partition.report('changed').closedUpToMs).toBe(TEN);
    const closing = log.batch(last, [sale({ t: last })]);
    foldAll(partition, [closing]);
    const { cells, closedUpToMs, sequence } = partition.report('changed');
    expect(closedUpToMs).toBe(TEN + MS_PER_HOUR);
    expect(cells.find((cell) => cell.kind === CellKind.hour && cell.windowStartMs === TEN)).toMatchObject({ records: 2, revision: sequence });
    expect(partition.hasChanges).toBe(false);
  });

  it('never opens a closed hour again, whatever the rules say later', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ t: TEN - 2 * MS_PER_HOUR })]);
    log.batch(TEN + 2, [], [rulesControl({ allowedLatenessMs: 20 * MS_PER_HOUR })]);
    log.batch(TEN + 3, [sale({ t: TEN }), sale({ t: TEN - 2 * MS_PER_HOUR })]);
    const open = folded(log);
    expect(verdicts(open)).toEqual(['accepted', 'accepted', 'accepted']);
    const closed = logWith();
    closed.batch(TEN + 1, [sale({ t: TEN })]);
    closed.batch(TEN + 2, [], [rulesControl({ allowedLatenessMs: 20 * MS_PER_HOUR })]);
    closed.batch(TEN + 3, [sale({ t: TEN - 2 * MS_PER_HOUR })]);
    expect(verdicts(folded(closed))).toEqual(['accepted', 'late']);
  });

  it('counts late records beside their hour and in their day, and those of expired days in the lake alone', () => {
    const log = logWith({ cellRetentionMs: 2 * MS_PER_HOUR });
    log.batch(TEN + 1, [sale({ t: TEN }), sale({ t: TEN - 4 * MS_PER_HOUR }), sale({ t: TEN - 10 * MS_PER_HOUR - 1 })]);
    const partition = folded(log);
    expect(verdicts(partition)).toEqual(['accepted', 'late', 'late']);
    expect(cellsOf(partition)).toEqual(['1 11-20T10 s/c 1', '2 11-20T00 s/c 2', '3 11-20T06 s/c 1']);
    log.batch(TEN + 20 * MS_PER_MINUTE, [sale({ t: TEN + 20 * MS_PER_MINUTE })]);
    foldAll(partition, log.batches);
    expect(partition.takeShares().map((share) => share.rowCount)).toEqual([3]);
  });

  it('still has its share of a day that it counts in no more, for partitions that are behind', async () => {
    const log = logWith({ cellRetentionMs: MS_PER_HOUR });
    log.batch(TEN, [sale()]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(partition, log.batches);
    foldAll(partition, [log.batch(TEN + MS_PER_DAY, [sale({ t: TEN + MS_PER_DAY }), sale({ t: TEN + 1 })])]);
    await saveTo(partition, store);
    partition.report('changed');
    partition.request([{ kind: CellKind.day, windowStartMs: TEN - 10 * MS_PER_HOUR, dimensions: 's\u001fc' }]);
    expect(partition.report('changed').cells.map(({ kind, records }) => [kind, records])).toEqual([[CellKind.day, 1]]);
  });

  it('removes cells from memory and from the store a day after they expired', async () => {
    const log = logWith({ cellRetentionMs: MS_PER_HOUR });
    log.batch(TEN, [sale(), sale({ t: TEN - 5 * MS_PER_HOUR })]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect([...store.range('cells', {})]).toHaveLength(3);
    const later = TEN + 2 * MS_PER_DAY;
    foldAll(partition, [log.batch(later, [sale({ t: later })])]);
    partition.settled({ sequence: partition.sequence, finalUpToMs: later });
    await saveTo(partition, store);
    expect([...store.range('cells', {})].map(({ key }) => key[0])).toEqual([CellKind.hour, CellKind.day]);
    expect(cellsOf(partition)).toEqual(['1 11-22T10 s/c 1']);
  });
});

describe('bounds', () => {
  it('counts values beyond a dimension\'s limit as other, by day, and says so', () => {
    const log = logWith({ dimensionLimits: { city: 2 } });
    log.batch(TEN, ['a', 'b', 'c', 'd', 'a', 'other'].map((city) => sale({ city })));
    log.batch(TEN + 1, [sale({ city: 'd', t: TEN - MS_PER_DAY })]);
    const partition = folded(log);
    expect(cellsOf(partition).filter((cell) => cell.startsWith('2'))).toEqual(['2 11-19T00 s/d 1', '2 11-20T00 s/a 2', '2 11-20T00 s/b 1', '2 11-20T00 s/other 3']);
    expect(partition.stats().alarms).toEqual(['dimension city is at its limit: further values count as other']);
  });

  it('counts combinations beyond the limit of cells as other in every dimension', () => {
    const log = logWith({ cellsPerDayMax: 2 });
    log.batch(TEN, [['x', 'a'], ['x', 'b'], ['y', 'a'], ['x', 'a'], ['y', 'c']].map(([shop, city]) => sale({ shop: shop as string, city: city as string })));
    expect(cellsOf(folded(log)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T10 other/other 2', '1 11-20T10 x/a 2', '1 11-20T10 x/b 1']);
  });

  it('admits after a restart what it would have admitted without one, evicted cells or not', async () => {
    const log = logWith({ dimensionLimits: { city: 2 }, cellsPerDayMax: 3 });
    const first = log.batch(TEN, [sale({ city: 'a' }), sale({ city: 'b' }), sale({ city: 'c' })]);
    const second = log.batch(TEN + 1, [sale({ city: 'c' }), sale({ city: 'a' }), sale({ city: 'b', shop: 't' })]);
    const expected = cellsOf(folded(log));
    const store = newStore();
    const before = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(before, [log.batches[0] as typeof first, first]);
    before.report('changed');
    await saveTo(before, store);
    expect(before.stats().cellsInMemory).toBe(3);
    const after = openToy(store);
    foldAll(after, [second]);
    expect(cellsOf(after)).toEqual(expected);
  });

  it('does not count the cell of all others, after a restart either', async () => {
    const log = logWith({ dimensionLimits: { shop: 1, city: 1 }, cellsPerDayMax: 3 });
    log.batch(TEN, [sale({ shop: 'x', city: 'a' }), sale({ shop: 'y', city: 'b' })]);
    const store = newStore();
    const before = openToy(store);
    foldAll(before, log.batches);
    await saveTo(before, store);
    const after = openToy(store);
    foldAll(after, [log.batch(TEN + 1, [sale({ shop: 'x', city: 'c' }), sale({ shop: 'z', city: 'a' })])]);
    expect(cellsOf(after).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T10 other/a 1', '1 11-20T10 other/other 1', '1 11-20T10 x/a 1', '1 11-20T10 x/other 1']);
  });

  it('keeps values that are no fit key from meeting another\'s cell', () => {
    const log = logWith();
    log.batch(TEN, [sale({ shop: 'a\u001fb', city: 'c' }), sale({ shop: 'a', city: 'b\u001fc' }), sale({ shop: 'x'.repeat(5_000) }), sale({ shop: '\ud800' })]);
    const days = cellsOf(folded(log)).filter((cell) => cell.startsWith('2'));
    expect(days).toHaveLength(4);
    expect(days.every((cell) => cell.length < 300 && cell.endsWith(' 1'))).toBe(true);
  });

  it('leaves out money that would pass what can be summed exactly, in hour and day alike, and counts it as unpriced', () => {
    const limit = Math.floor(2 ** 53 / 64);
    const log = logWith();
    log.batch(TEN, [sale({ paid: limit }), sale({ paid: 1 }), sale({ paid: -limit }), sale({ paid: -limit }), sale({ paid: -1 }), sale({ paid: 0.5 })]);
    // The day is at the bound while the next hour is not: both must leave it out.
    log.batch(TEN + 65 * MS_PER_MINUTE, [sale({ t: TEN + 65 * MS_PER_MINUTE, paid: -7 })]);
    const { cells } = folded(log).report('all');
    const measures = (kind: CellKind, windowStartMs: number) => cells.find((cell) => cell.kind === kind && cell.windowStartMs === windowStartMs)?.measures;
    expect(measures(CellKind.hour, TEN)).toEqual([6, -limit, 3]);
    expect(measures(CellKind.hour, TEN + MS_PER_HOUR)).toEqual([1, 0, 1]);
    expect(measures(CellKind.day, TEN - 10 * MS_PER_HOUR)).toEqual([7, -limit, 4]);
  });

  it('lets idle day cells leave memory and gives them back with all they had', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ name: 'N', kind: 'buy' }), sale({ t: TEN - 5 * MS_PER_HOUR, paid: 9 })]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 1 });
    foldAll(partition, log.batches);
    partition.report('changed');
    await saveTo(partition, store);
    expect(partition.stats().cellsInMemory).toBe(3);
    foldAll(partition, [log.batch(TEN + 1)]);
    await saveTo(partition, store);
    expect(partition.stats().cellsInMemory).toBe(1);
    foldAll(partition, [log.batch(TEN + 2, [sale({ paid: 5 })])]);
    const day = partition.report('changed').cells.find((cell) => cell.kind === CellKind.day);
    expect(day).toMatchObject({ records: 3, measures: [3, 15, 0], breakdown: { buy: 1 }, labels: [{ timeMs: TEN, text: 'N' }] });
    expect(partition.stateHash()).toBe(folded(log).stateHash());
  });
});

describe('reports', () => {
  const dayName: CellName = { kind: CellKind.day, windowStartMs: TEN - 10 * MS_PER_HOUR, dimensions: 's\u001fc' };

  it('hold each changed cell once, with absolute totals, and nothing when nothing changed', () => {
    const log = logWith();
    const partition = folded(log);
    expect(partition.hasChanges).toBe(false);
    foldAll(partition, [log.batch(TEN, [sale(), sale()])]);
    expect(partition.hasChanges).toBe(true);
    const { cells } = partition.report('changed');
    expect(cells.map(({ kind, records, revision }) => [kind, records, revision])).toEqual([[CellKind.day, 2, 4], [CellKind.hour, 2, 4]]);
    expect(partition.report('changed').cells).toEqual([]);
    const repeated = log.batch(TEN + 1, [sale()]);
    foldAll(partition, [repeated, repeated]);
    expect(partition.report('changed').cells.map((cell) => cell.records)).toEqual([3, 3]);
  });

  it('carry the label of the latest event, whatever the order of arrival; ties go to the greater text, and no text says nothing', () => {
    const named = [{ t: TEN, name: 'b' }, { t: TEN, name: 'c' }, { t: TEN, name: 'a' }, { t: TEN - 1, name: 'z' }, { t: TEN + 1 }];
    for (const order of [named, [...named].reverse()]) {
      const log = logWith();
      log.batch(TEN + 1, order.map(sale));
      expect(folded(log).report('changed').cells.find((cell) => cell.kind === CellKind.day)?.labels).toEqual([{ timeMs: TEN, text: 'c' }]);
    }
  });

  it('tell of counts that no cell shows', () => {
    const log = logWith();
    const partition = folded(log);
    foldAll(partition, [log.batch(TEN, [{ payload: '{' }])]);
    expect(partition.hasChanges).toBe(true);
    expect(partition.report('changed')).toMatchObject({ received: 1, rejected: 1, cells: [] });
  });

  it('answer requests from memory and store, once, and say nothing of cells that are not there', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    const store = newStore();
    foldAll(await opened(store), log.batches);
    async function opened(on: typeof store): Promise<ToyPartition> {
      const partition = openToy(on, { cellIdleCheckpoints: 0 });
      foldAll(partition, log.batches);
      partition.report('changed');
      await saveTo(partition, on);
      return openToy(on);
    }
    const partition = await opened(store);
    partition.request([dayName, dayName, { ...dayName, dimensions: 'nowhere\u001fc' }, { ...dayName, kind: CellKind.hour, windowStartMs: TEN }]);
    expect(partition.hasChanges).toBe(true);
    expect(partition.report('changed').cells.map((cell) => [cell.kind, cell.records])).toEqual([[CellKind.day, 1], [CellKind.hour, 1]]);
    expect(partition.report('changed').cells).toEqual([]);
  });

  it('let go of a closed hour once the live store has it as final, in memory and in the store, and not before', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    const later = TEN + 2 * MS_PER_HOUR;
    log.batch(later, [sale({ t: later })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const closed: CellName = { kind: CellKind.hour, windowStartMs: TEN, dimensions: 's\u001fc' };
    const has = (): boolean => (partition.request([closed]), partition.report('changed').cells.some((cell) => cell.windowStartMs === TEN && cell.kind === CellKind.hour));
    partition.settled({ sequence: partition.sequence - 1, finalUpToMs: later });
    expect(has()).toBe(true);
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN });
    expect(has()).toBe(true);
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN + MS_PER_HOUR });
    expect(has()).toBe(false);
    await saveTo(partition, store);
    expect(cellsOf(openToy(store)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T12 s/c 1']);
  });

  it('let go of a closed hour that a checkpoint in flight is about to store', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    log.batch(TEN + 2 * MS_PER_HOUR, [sale({ t: TEN + 2 * MS_PER_HOUR })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const checkpoint = partition.checkpoint();
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN + MS_PER_HOUR });
    await store.commit(checkpoint?.operations ?? []);
    if (checkpoint !== null) partition.checkpointCommitted(checkpoint.epoch);
    expect(await saveTo(partition, store)).toBe(true);
    expect(cellsOf(openToy(store)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T12 s/c 1']);
  });

  it('hold after a restart what the live store has not settled, and no more', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ city: 'old' })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const settledSequence = partition.sequence;
    foldAll(partition, [log.batch(TEN + 1, [sale({ city: 'new' })])]);
    await saveTo(partition, store);
    const reported = (sequence: number): string[] => {
      const restarted = openToy(store);
      restarted.settled({ sequence, finalUpToMs: 0 });
      return cellsOf(restarted);
    };
    expect(reported(settledSequence)).toEqual(['1 11-20T10 s/new 1', '1 11-20T10 s/old 1', '2 11-20T00 s/new 1']);
    expect(reported(partition.sequence)).toEqual(['1 11-20T10 s/new 1', '1 11-20T10 s/old 1']);
    expect(cellsOf(openToy(store))).toHaveLength(4);
  });
});

describe('checkpoints', () => {
  it('write only what changed since the last, one at a time, and nothing when nothing did', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ city: 'a' })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect(partition.checkpoint()).toBeNull();
    foldAll(partition, [log.batch(TEN + 1, [sale({ city: 'b' })])]);
    const pressure = partition.checkpointPressure;
    const checkpoint = partition.checkpoint();
    expect(pressure).toBeGreaterThan(0);
    expect(partition.checkpointPressure).toBeLessThan(pressure);
    expect(checkpoint?.operations.filter((operation) => operation.table === 'cells')).toHaveLength(2);
    expect(checkpoint?.operations.some((operation) => Buffer.from(operation.key).toString() === 'rules')).toBe(false);
    foldAll(partition, [log.batch(TEN + 2, [sale({ city: 'c' })])]);
    expect(partition.checkpoint()).toBeNull();
  });

  it('that fail leave everything to the next, what changed meanwhile included', async () => {
    const log = logWith();
    log.batch(TEN, [sale(), { payload: '{' }]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const failed = partition.checkpoint();
    foldAll(partition, [log.batch(TEN + 1, [sale(), { payload: '[' }])]);
    if (failed !== null) partition.checkpointFailed(failed.epoch);
    expect(await saveTo(partition, store)).toBe(true);
    const restored = openToy(store);
    expect(restored.stateHash()).toBe(folded(log).stateHash());
    expect(restored.deadLetters(10).map((letter) => letter.id)).toEqual([2, 1]);
    expect(restored.sequence).toBe(partition.sequence);
  });

  it('belong to one partition of one data directory, pipeline and format', async () => {
    const log = logWith();
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect(codeOf(() => openToy(store, { id: partitionId(1) }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openToy(store, { partitionCount: 2 }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openToy(store, { instance: 'f'.repeat(32) }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openPartition({ ...toyPipeline, dimensions: toyPipeline.dimensions.slice(1) }, store))).toBe('DATA_DIR_FOREIGN');
    const newer = store.fork();
    await newer.commit([{ table: 'meta', key: Buffer.from('state'), value: pack({ format: 2 }) }]);
    expect(codeOf(() => openToy(newer))).toBe('DATA_VERSION');
    const torn = store.fork();
    await torn.commit([{ table: 'meta', key: Buffer.from('state'), value: Buffer.from([0xd9]) }]);
    expect(codeOf(() => openToy(torn))).toBe('STATE_CORRUPT');
  });

  it('are read by a pipeline that has a new measure, and by one that has lost one', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ paid: 3 })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const [sales, paid] = toyPipeline.measures as [(typeof toyPipeline.measures)[0], (typeof toyPipeline.measures)[0]];
    const changed = { ...toyPipeline, measures: [{ ...sales, name: 'brand_new' }, paid] };
    const next = openPartition(changed, store);
    foldAll(next, [log.batch(TEN + 1, [sale({ paid: 4 })])]);
    const hours = (cells: readonly PartialCell[]) => cells.filter((cell) => cell.kind === CellKind.hour).map((cell) => cell.measures);
    expect(hours(next.report('all').cells)).toEqual([[1, 7]]);
    const checkpoint = next.checkpoint();
    await store.commit(checkpoint?.operations ?? []);
    expect(hours(openPartition(changed, store).report('all').cells)).toEqual([[1, 7]]);
  });
});

describe('the log', () => {
  it('is refused where it leaves a gap, and passed over where it was folded before', () => {
    const log = logWith();
    const first = log.batch(TEN, [sale()]);
    log.batch(TEN + 1, [sale()]);
    const partition = folded(log);
    const hash = partition.stateHash();
    foldAll(partition, [shifted(first, 800)]);
    expect([partition.stateHash(), partition.batchSequence]).toEqual([hash, 2]);
    log.batch(TEN + 2);
    const after = log.batch(TEN + 3);
    expect(codeOf(() => foldAll(partition, [after]))).toBe('CHECKPOINT_BEFORE_LOG');
    expect(codeOf(() => foldAll(openToy(newStore()), [first]))).toBe('CHECKPOINT_BEFORE_LOG');
  });

  it('is refused when it belongs elsewhere or needs a newer pipeline', () => {
    const refused = (controls: Parameters<LogBuilder['batch']>[2]): string => {
      const log = new LogBuilder();
      log.batch(TEN, [], controls);
      return codeOf(() => folded(log));
    };
    expect(refused([generationControl(2)])).toBe('DATA_DIR_FOREIGN');
    expect(refused([{ type: 'generation', generation: 1, instance: 'f'.repeat(32), partitionCount: 1 }])).toBe('DATA_DIR_FOREIGN');
    expect(refused([{ type: 'rules', rules: toyRules({ pipelineVersion: 2 }) }])).toBe('DATA_VERSION');
    expect(refused([{ type: 'generation', generation: 1, instance: INSTANCE, partitionCount: 1 }])).toBe('nothing raised');
  });
});

describe('the state hash', () => {
  it('changes with every kind of state that the log determines', () => {
    const base = (): LogBuilder => {
      const log = logWith();
      log.batch(TEN, [sale({ id: 'a' })]);
      return log;
    };
    const hashes = [base(), base(), base(), base(), base(), base()].map((log, index) => {
      if (index === 1) log.batch(TEN + 1);
      if (index === 2) log.batch(TEN + 1, [sale({ id: 'a' })]);
      if (index === 3) log.batch(TEN + 1, [sale({ id: 'b' })]);
      if (index === 4) log.batch(TEN + 1, [{ payload: '{' }]);
      if (index === 5) log.batch(TEN + 1, [], [rulesControl({ futureSkewMs: 1 })]);
      return folded(log).stateHash();
    });
    expect(new Set(hashes).size).toBe(6);
    expect(folded(base()).stateHash()).toBe(hashes[0]);
  });
});
