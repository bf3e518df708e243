/** The verdict on each record: in which order it is judged, and who is to blame when it cannot be. */

import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { RecordFlag } from '../../../engine/core/record.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, openToy } from './harness.ts';
import { LogBuilder, sliceOf, TestCursor } from './log-builder.ts';
import { TEN, codeOf, folded, logWith, sale, verdicts } from './sales.ts';
import { toyPipeline, toyRules } from './toy-pipeline.ts';

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
