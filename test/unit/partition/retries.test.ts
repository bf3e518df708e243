/** Dead letters that are sent again through the log: each counts once, whatever happens in between. */

import { describe, expect, it } from 'vitest';
import type { ControlRecord, Rules } from '../../../engine/core/rules.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { retriedRecord } from '../../../engine/core/retried-record.ts';
import { MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, openToy, saveTo, type ToyPartition } from './harness.ts';
import type { LogBuilder, TestRecord } from './log-builder.ts';
import { TEN, folded, logWith, sale, verdicts } from './sales.ts';
import { toyPipeline } from './toy-pipeline.ts';

/** Rejected as FUTURE_EVENT_TIME at ten, sound six minutes later. */
const early = sale({ t: TEN + 10 * MS_PER_MINUTE });
const LATER = TEN + 6 * MS_PER_MINUTE;
const again = (id: number, record: TestRecord, attempt = 1, source: number = RecordSource.push): TestRecord => ({ payload: retriedRecord({ partition: 0, id, attempt, source }, Buffer.from(record.payload)), source: RecordSource.retry });
const drop = (ids: readonly number[], partition = 0): ControlRecord => ({ type: 'drop-letters', letters: [[partition, ids]] });

function logOf(rules: Partial<Rules>, ...batches: readonly (readonly TestRecord[])[]): LogBuilder {
  const log = logWith(rules);
  batches.forEach((records, at) => log.batch(at === 0 ? TEN + 1 : LATER + at, records));
  return log;
}

const outcomeOf = (partition: ToyPartition): unknown[] => partition.deadLetters(100).map(({ id, code, retry }) => [id, code, retry && [retry.attempts, retry.verdict, retry.code]]);

describe('a dead letter that is sent again', () => {
  it('counts once, also when it is sent twice in one batch or in another, with dedupe off too', () => {
    for (const dedupe of ['push-ms', 'none'] as const) {
      const partition = folded(logOf({ dedupe }, [early], [again(1, early), again(1, early)], [again(1, early), again(1, early, 2)]));
      expect(verdicts(partition)).toEqual(['FUTURE_EVENT_TIME', 'accepted', 'duplicate', 'duplicate', 'duplicate']);
      expect(outcomeOf(partition)).toEqual([[1, 'FUTURE_EVENT_TIME', [1, 0, null]]]);
      const { received, accepted, duplicate, rejected } = partition.report('changed');
      expect([received, accepted, duplicate, rejected]).toEqual([5, 1, 3, 1]);
    }
  });

  it('is a duplicate where the event has come by itself meanwhile', () => {
    const partition = folded(logOf({}, [early], [early], [again(1, early)]));
    expect(verdicts(partition)).toEqual(['FUTURE_EVENT_TIME', 'accepted', 'duplicate']);
    expect(outcomeOf(partition)).toEqual([[1, 'FUTURE_EVENT_TIME', [1, 2, null]]]);
  });

  it('that is rejected again stays one letter with its first code, and may be tried once more by the next attempt alone', () => {
    const broken = { payload: '{' };
    const partition = folded(logOf({}, [broken], [again(1, broken), again(1, broken)], [again(1, broken, 2)]));
    expect(verdicts(partition)).toEqual(['NOT_JSON', 'NOT_JSON', 'duplicate', 'NOT_JSON']);
    expect(outcomeOf(partition)).toEqual([[1, 'NOT_JSON', [2, 3, 'NOT_JSON']]]);
    expect(partition.stats()).toMatchObject({ deadLetters: 1, deadLettersWaiting: 1, deadLettersRetriedRejected: 2, rejected: 3 });
  });

  it('is decoded with the source that it first came from', () => {
    const sources: number[] = [];
    const pipeline = { ...toyPipeline, decode: (...record: Parameters<typeof toyPipeline.decode>) => (sources.push(record[3]), toyPipeline.decode(...record)) };
    const partition = openPartition(pipeline, newStore());
    foldAll(partition, logOf({}, [{ ...early, source: RecordSource.pull }], [again(1, early, 1, RecordSource.pull)]).batches);
    expect(sources).toEqual([RecordSource.pull, RecordSource.pull]);
  });

  it('does not count once it was dropped or has left for its age, in whatever order', () => {
    const log = logOf({ deadLetters: { bytesMax: 2 ** 20, retentionMs: 10 * MS_PER_MINUTE } }, [early, early, early]);
    log.batch(LATER, [again(1, early)], [drop([1]), drop([2], 1)]);
    log.batch(LATER + 1, [again(2, sale({ t: TEN }))]);
    log.batch(TEN + 20 * MS_PER_MINUTE, [again(3, early)]);
    const partition = folded(log);
    expect(verdicts(partition).slice(3)).toEqual(['duplicate', 'accepted', 'duplicate']);
    expect(partition.stats()).toMatchObject({ deadLetters: 0, deadLettersDropped: 1, deadLettersExpiredByAge: 2, deadLettersExpiredWaiting: 1 });
  });

  it('leaves the same state wherever the partition was checkpointed and restored', async () => {
    const log = logOf({ dedupe: 'none', deadLetters: { bytesMax: 2_000, retentionMs: 20 * MS_PER_MINUTE } }, [early, early, { payload: '{' }]);
    for (let at = 0; at < 30; at++) log.batch(LATER + at * MS_PER_MINUTE, [again(1 + (at % 7), early, 1 + (at % 2)), ...(at % 3 === 0 ? [sale({ t: TEN + 100 * MS_PER_MINUTE })] : []), again(2, early)], at % 11 === 5 ? [drop([at / 5, 3])] : []);
    const whole = folded(log);
    for (const every of [1, 2, 5]) {
      const store = newStore();
      let partition = openToy(store);
      for (const [at, batch] of log.batches.entries()) {
        foldAll(partition, [batch]);
        if (at % every !== 0) continue;
        await saveTo(partition, store);
        partition = openToy(store);
      }
      expect([partition.stateHash(), outcomeOf(partition)]).toEqual([whole.stateHash(), outcomeOf(whole)]);
    }
    expect(whole.stats().deadLettersRetriedAccepted + whole.stats().deadLettersRetriedLate).toBeGreaterThan(1);
  });
});
