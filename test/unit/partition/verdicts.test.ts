/** The verdict on each record: in which order it is judged, and who is to blame when it cannot be. */

import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { RecordFlag } from '../../../engine/core/record.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, openToy, saveTo } from './harness.ts';
import { LogBuilder, sliceOf, TestCursor } from './log-builder.ts';
import { TEN, codeOf, folded, logWith, sale, tickUntil, verdicts } from './sales.ts';
import { rulesControl, toyPipeline, toyRules } from './toy-pipeline.ts';

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

  it('comes before what the rules change in an event: by the rules of its day, once, after its identity and before it counts', () => {
    const calls: string[] = [];
    const partition = openPartition(
      {
        ...toyPipeline,
        dedupeKey: (event, mode, out) => (calls.push(`identity ${event.city}`), toyPipeline.dedupeKey(event, mode, out)),
        enrich: (event, rules) => {
          calls.push(`enrich ${event.city} by ${rules.kinds.join()}`);
          Object.assign(event, { city: 'changed' });
        },
      },
      newStore(),
    );
    const again = sale({ city: 'own' });
    const log = logWith({ domain: { kinds: ['a'] } });
    log.batch(TEN, [again, again]);
    log.batch(TEN + 1, [sale({ city: 'other' })], [{ type: 'rules', rules: toyRules({ domain: { kinds: ['b'] } }) }]);
    foldAll(partition, log.batches);
    expect(calls).toEqual(['identity own', 'enrich own by a', 'identity own', 'identity other', 'enrich other by b']);
    expect(partition.tail(3).map(({ dimensions }) => dimensions.split('\u001f')[1] ?? '').filter((city) => city !== '')).toEqual(['changed', 'changed']);
  });

  it('remembers what counted through a change of dedupe mode, there and back', () => {
    const log = logWith();
    const push = (variant: number) => sale({ id: 'one', variant });
    const pull = sale({ id: 'one', variant: null });
    log.batch(TEN, [push(1), push(2), push(1)]);
    log.batch(TEN + 1, [push(1), push(3), pull, sale({ id: 'two', variant: null }), sale({ id: 'two', variant: 5 })], [rulesControl({ dedupe: 'push+pull-seconds' })]);
    log.batch(TEN + 2, [push(2), push(3), sale({ id: 'two', variant: 6 })], [rulesControl()]);
    const partition = folded(log);
    expect(verdicts(partition)).toEqual(['accepted', 'accepted', 'duplicate', 'duplicate', 'duplicate', 'duplicate', 'accepted', 'duplicate', 'duplicate', 'accepted', 'duplicate']);
    // 3 came while only seconds were compared, and is none of those that had counted: it may have been a sale of its own.
    expect(partition.stats()).toMatchObject({ differingRepeats: 1, alarms: [] });
  });

  it('keeps the count of repeats that differ through a restart, and in the hash of the state', async () => {
    const log = logWith({ dedupe: 'push+pull-seconds' });
    log.batch(TEN, [sale({ id: 'a', variant: 1 }), sale({ id: 'a', variant: 2 }), sale({ id: 'a', variant: 2 })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const restored = openToy(store);
    expect(restored.stats().differingRepeats).toBe(2);
    expect(restored.stateHash()).toBe(partition.stateHash());
  });

  it('says so for as long as something counted within the horizon that is not remembered', () => {
    const log = logWith({ dedupe: 'none', dedupeHorizonMs: MS_PER_HOUR });
    log.batch(TEN, [sale()]);
    const alarm = [expect.stringMatching(/^identities are not yet remembered for all of dedupe\.horizon_hours/)];
    expect(folded(log).stats().alarms).toEqual([]);
    log.batch(TEN + 1, [sale()], [rulesControl({ dedupeHorizonMs: MS_PER_HOUR })]);
    // The first two batches are no time at all: what counted then counts as remembered.
    log.batch(TEN + 2_000, [sale()], [rulesControl({ dedupe: 'none', dedupeHorizonMs: MS_PER_HOUR })]);
    log.batch(TEN + 2_001, [sale()], [rulesControl({ dedupeHorizonMs: MS_PER_HOUR })]);
    expect(folded(log).stats().alarms).toEqual(alarm);
    tickUntil(log, TEN + 3_000, TEN + MS_PER_HOUR + 3_000);
    expect(folded(log).stats().alarms).toEqual([]);
    // A horizon that is made longer has forgotten already.
    tickUntil(log, TEN + MS_PER_HOUR + 4_000, TEN + 3 * MS_PER_HOUR);
    log.batch(TEN + 3 * MS_PER_HOUR + 1, [sale()]);
    expect(folded(log).stats().alarms).toEqual([]);
    log.batch(TEN + 3 * MS_PER_HOUR + 2, [sale()], [rulesControl({ dedupeHorizonMs: 3 * MS_PER_HOUR })]);
    expect(folded(log).stats().alarms).toEqual(alarm);
  });

  it('knows a repeat of what a state of the former format remembers', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ id: 'x before' })]);
    const store = newStore();
    const before = openToy(store);
    foldAll(before, log.batches);
    await saveTo(before, store);
    const meta = { version: 1, bucketMin: 0, merging: null };
    await store.commit([{ table: 'dedupe', key: Uint8Array.of(0), value: new TextEncoder().encode(JSON.stringify(meta)) }]);
    const after = openToy(store);
    log.batch(TEN + 1, [sale({ id: 'x' }), sale({ id: 'y' }), sale({ id: 'y' })]);
    foldAll(after, log.batches);
    expect(verdicts(after)).toEqual(['duplicate', 'accepted', 'duplicate']);
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
      { ...newStoreParts(), range: (table, { from }) => (table === 'cells' && from?.[0] === CellKind.day ? failRead() : []) },
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
