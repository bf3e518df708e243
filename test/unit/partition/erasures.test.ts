/** Erasures in a partition: letters leave, lake slots are handed out again, and nothing else changes, wherever checkpoints fall. */

import { describe, expect, it } from 'vitest';
import { userKey, type Erasure, type RecordUsers } from '../../../engine/core/erasure.ts';
import type { PipelineDefinition } from '../../../engine/core/pipeline.ts';
import { NO_RESOURCES } from '../../../engine/core/rule-resources.ts';
import type { ControlRecord } from '../../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, saveTo, type ToyPartition } from './harness.ts';
import type { LogBuilder } from './log-builder.ts';
import { logWith, sale, TEN } from './sales.ts';
import { toyPipeline, type Sale, type SaleRules } from './toy-pipeline.ts';

const SECRET = Buffer.from('secret');
const erasure = (id: string, user = 'gone'): Erasure => ({ id, scope: 's', user: userKey(SECRET, { scope: 's', user }), secret: 'one', atMs: TEN });
const erase = (id: string, user?: string): ControlRecord => ({ type: 'erase', erasure: erasure(id, user) });
const pipeline: PipelineDefinition<Sale, SaleRules> = {
  ...toyPipeline,
  recordUsers: (bytes, start, end): RecordUsers => ({ scope: 's', users: [/"id":"([^"]*)"/.exec(bytes.toString('utf8', start, end))?.[1] ?? ''] }),
};
const open = (store = newStore()): ToyPartition => openPartition(pipeline, store, { resources: { ...NO_RESOURCES, secret: () => SECRET } });
const DAY = Math.floor(TEN / MS_PER_DAY) * MS_PER_DAY;
const purge = (id: string, scope = 's'): ControlRecord => ({ type: 'erase', erasure: { id, scope, days: { fromMs: DAY, toMs: DAY + MS_PER_DAY }, atMs: TEN } });
/** Rejected: too far in the future. */
const letter = (id: string) => sale({ id, t: TEN + 60 * MS_PER_MINUTE });
const lettersOf = (partition: ToyPartition): string[] => partition.deadLetters(1_000).map(({ bytes }) => (JSON.parse(Buffer.from(bytes).toString()) as Sale).id as string).reverse();

/** Letters of two users before an erasure, and one after it. */
function logOf(lettersEach: number): LogBuilder {
  const log = logWith();
  log.batch(TEN + 1, [sale({ id: 'gone' }), sale({ id: 'stays' })]);
  for (let at = 0; at < lettersEach; at++) log.batch(TEN + 2 + at, [letter('gone'), letter('stays')]);
  log.batch(TEN + 1_000, [letter('gone'), sale({ id: 'gone', t: TEN + 1 })], [erase('e1')]);
  return log;
}

describe('an erasure', () => {
  it('takes the letters of before it, a few at a time as log time passes, and no other', () => {
    const log = logOf(100);
    const partition = open();
    foldAll(partition, log.batches);
    expect(lettersOf(partition).length).toBeGreaterThan(150);
    expect(partition.erasures()).toMatchObject([{ id: 'e1', batchSequence: 102, isDone: false }]);
    // Batches in quick succession are no time.
    foldAll(partition, [log.batch(TEN + 1_001), log.batch(TEN + 1_002)]);
    expect(lettersOf(partition).length).toBeGreaterThan(150);
    foldAll(partition, Array.from({ length: 6 }, (_, at) => log.batch(TEN + 2_000 + 1_000 * at)));
    expect(partition.erasures()).toEqual([{ id: 'e1', batchSequence: 102, receivedAtMs: TEN + 1_000, lettersRemoved: 100, isDone: true }]);
    expect(lettersOf(partition)).toEqual([...Array.from({ length: 100 }, () => 'stays'), 'gone']);
    const { received, accepted, duplicate, rejected } = partition.report('changed');
    expect([received, accepted, duplicate, rejected]).toEqual([204, 2, 1, 201]);
  });

  it('leaves the same state wherever the partition was checkpointed and restored, several at once too', async () => {
    const log = logOf(60);
    log.batch(TEN + 1_100, [letter('stays')], [erase('e2', 'stays'), erase('e3')]);
    for (let at = 0; at < 12; at++) log.batch(TEN + 1_200 + 200 * at, at % 3 === 0 ? [letter('gone'), letter('stays')] : []);
    const whole = open();
    foldAll(whole, log.batches);
    expect(whole.erasures().map(({ lettersRemoved, isDone }) => [lettersRemoved, isDone])).toEqual([[60, true], [60, true], [1, true]]);
    for (const every of [1, 3, 7]) {
      const store = newStore();
      let partition = open(store);
      for (const [at, batch] of log.batches.entries()) {
        foldAll(partition, [batch]);
        if (at % every !== 0) continue;
        await saveTo(partition, store);
        partition = open(store);
      }
      expect(partition.stateHash()).toBe(whole.stateHash());
      expect(partition.erasures()).toEqual(whole.erasures());
    }
  });

  it('goes with every lake slot that is not spooled, with the last record that it means, and is handed out again over a restart', async () => {
    const store = newStore();
    let partition = open(store);
    const log = logWith();
    log.batch(TEN + 1, [sale({ id: 'gone' })]);
    log.batch(TEN + 15 * MS_PER_MINUTE, [sale({ id: 'two' })]);
    foldAll(partition, log.batches);
    expect(partition.takeShares().map(({ erasures }) => erasures)).toEqual([undefined]);
    const upTo = partition.sequence;
    foldAll(partition, [log.batch(TEN + 15 * MS_PER_MINUTE + 1, [sale({ id: 'three' })], [erase('e1')])]);
    expect(partition.takeShares().map(({ erasures }) => erasures)).toEqual([[[upTo, erasure('e1')]]]);
    await saveTo(partition, store);
    partition = open(store);
    foldAll(partition, [log.batch(TEN + 30 * MS_PER_MINUTE, [], [erase('e2')]), log.batch(TEN + 45 * MS_PER_MINUTE)]);
    const shares = partition.takeShares();
    // The later one of the same user means more; the slot that began after both knows of none.
    expect(shares.map(({ erasures }) => erasures?.map(([, { id }]) => id))).toEqual([['e2'], ['e2'], undefined]);
    for (const share of shares) partition.spooled(share.slot);
    foldAll(partition, [log.batch(TEN + 45 * MS_PER_MINUTE + 1, [], [erase('e3')])]);
    expect(partition.takeShares()).toEqual([]);
  });

  it('of a user that is journaled again, by a life that did not know that it had been, means nothing that came in between', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ id: 'gone' }), letter('gone')], []);
    log.batch(TEN + 2, [], [erase('e1')]);
    const partition = open();
    foldAll(partition, log.batches);
    const upTo = partition.sequence - 1;
    foldAll(partition, [log.batch(TEN + 3, [sale({ id: 'gone', t: TEN + 1 }), letter('gone')]), log.batch(TEN + 4, [], [erase('e1')]), ...[0, 1, 2, 3].map((at) => log.batch(TEN + 1_000 + 500 * at))]);
    expect(partition.erasures()).toEqual([{ id: 'e1', batchSequence: 2, receivedAtMs: TEN + 2, lettersRemoved: 1, isDone: true }]);
    expect(lettersOf(partition)).toEqual(['gone']);
    foldAll(partition, [log.batch(TEN + 15 * MS_PER_MINUTE)]);
    expect(partition.takeShares().map(({ erasures }) => erasures)).toEqual([[[upTo, erasure('e1')]]]);
  });

  it('changes the hash of no state that never saw one', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale(), letter('x')]);
    const [plain, able] = [openPartition(toyPipeline, newStore()), open()];
    for (const partition of [plain, able]) foldAll(partition, log.batches);
    expect(able.stateHash()).toBe(plain.stateHash());
  });

  it('of days takes the letters of the app that were received in them, once, however often it is journaled', () => {
    const log = logWith();
    log.batch(TEN + 1, [letter('one'), letter('two')]);
    log.batch(DAY + MS_PER_DAY, [sale({ id: 'next day', t: DAY + 3 * MS_PER_DAY })]);
    log.batch(DAY + MS_PER_DAY + 1, [], [purge('p0', 'another'), purge('p1')]);
    const partition = open();
    foldAll(partition, log.batches);
    const upTo = partition.sequence;
    foldAll(partition, [log.batch(DAY + MS_PER_DAY + 1_000, [sale({ id: 'new', t: TEN + 2 })], [purge('p1')]), log.batch(DAY + MS_PER_DAY + 2_000)]);
    expect(partition.erasures().map(({ id, lettersRemoved, isDone }) => [id, lettersRemoved, isDone])).toEqual([['p0', 0, true], ['p1', 2, true]]);
    expect(lettersOf(partition)).toEqual(['next day']);
    foldAll(partition, [log.batch(DAY + MS_PER_DAY + 15 * MS_PER_MINUTE)]);
    // What came before it was journaled again is not meant by the second record.
    expect(partition.takeShares().flatMap(({ erasures = [] }) => erasures.map(([number, { id }]) => [id, number <= upTo]))).toContainEqual(['p1', true]);
    expect(partition.takeShares()).toEqual([]);
  });
});
