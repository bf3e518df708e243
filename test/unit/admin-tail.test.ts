import { beforeEach, describe, expect, it } from 'vitest';
import { LOOKED_AT_MAX, tailRecords, type TailPage, type TailQuery, type TailSource } from '../../engine/admin-tail.ts';
import { Verdict } from '../../engine/core/record.ts';
import { openLogLookup } from '../../engine/log/index.ts';
import { tailOf } from '../../engine/runtime/answers.ts';
import type { TailEntry } from '../../engine/threads/messages.ts';
import { FaultyDisk } from './log/faulty-disk.ts';
import { appendText, DIRECTORY, open, PARTITIONS, type OpenedTestJournal } from './log/journal-fixture.ts';
import { NO_RESOURCES } from '../../engine/core/rule-resources.ts';
import { shownBytesOf } from '../../engine/shown-bytes.ts';

let disk: FaultyDisk;
let journal: OpenedTestJournal;
/** Of each partition, newest first. */
let rings: Omit<TailEntry, 'partition'>[][];
/** Batches that were read, by offset. */
let read: number[];
let sequence: number;
beforeEach(async () => {
  disk = new FaultyDisk();
  journal = await open(disk);
  rings = Array.from({ length: PARTITIONS }, () => []);
  read = [];
  sequence = 0;
});

const partition = (id: number): Parameters<typeof tailOf>[0][number] => ({ id, tail: (limit) => (rings[id] ?? []).slice(0, limit), deadLetters: () => [], deadLetterAtOrAfter: () => null });
const lane = (first: number, count: number): Parameters<typeof tailOf>[0] => Array.from({ length: count }, (_, at) => partition(first + at));

const source: TailSource = {
  partitions: PARTITIONS,
  dimensions: ['campaign_id'],
  ask: (question) => Promise.resolve([tailOf(lane(0, 4), question), tailOf(lane(4, PARTITIONS - 4), question)]),
  shown: shownBytesOf(null, NO_RESOURCES),
  hides: () => false,
  openLookup: () => {
    const lookup = openLogLookup({ directory: DIRECTORY, disk });
    return {
      batchAt: (offset, of) => {
        read.push(offset);
        return lookup.batchAt(offset, of);
      },
      close: () => {
        lookup.close();
      },
    };
  },
};

/** Commits a batch of one record each of the apps, one partition after the other, and has it folded, but for the partitions that lag. */
async function batch(apps: readonly string[], options: { readonly verdict?: Verdict; readonly lagging?: readonly number[] } = {}): Promise<() => void> {
  const batchOffset = journal.writer.durableOffset;
  apps.forEach((app, at) => {
    appendText(journal.writer, at, JSON.stringify({ app_id: app, event_name: 'install', event_time: '2026-11-22 10:00:00.000', appsflyer_id: `user-${sequence}-${at}` }));
  });
  await journal.writer.commit();
  const batchSequence = sequence++;
  const fold = (at: number): void => void rings[at]?.unshift({ journal: 0, batchOffset, batchSequence, index: at, receivedAtMs: 5, verdict: options.verdict ?? Verdict.accepted, rejectCode: -1, windowStartMs: 0, dimensions: 'x' });
  const lagging = options.lagging ?? [];
  for (const at of apps.keys()) if (!lagging.includes(at)) fold(at);
  return () => {
    lagging.forEach(fold);
  };
}

const page = (query: Partial<TailQuery> = {}): Promise<TailPage> => tailRecords(source, { limit: 20, ...query });
const placesOf = ({ records }: TailPage): string => (records as { batch: number; index: number }[]).map((record) => `${record.batch}.${record.index}`).join(' ');

describe('the tail', () => {
  it('is the newest records, oldest first, with their events', async () => {
    for (const app of ['a', 'b', 'c']) await batch([app, `${app}2`]);
    const newest = await page({ limit: 3 });
    expect(placesOf(newest)).toBe('1.1 2.0 2.1');
    expect(newest.records.at(-1)).toMatchObject({ outcome: 'accepted', partition: 1, event: { app_id: 'c2' }, cell: { dimensions: { campaign_id: 'x' } } });
    expect(newest.more).toBe(false);
  });

  it('reads each batch once, and none that it does not need', async () => {
    for (let at = 0; at < 10; at++) await batch(['a', 'b', 'a', 'b', 'a']);
    expect(placesOf(await page({ limit: 7 }))).toBe('8.3 8.4 9.0 9.1 9.2 9.3 9.4');
    expect(read).toHaveLength(2);
    read = [];
    expect(placesOf(await page({ limit: 4, app_id: 'b' }))).toBe('8.1 8.3 9.1 9.3');
    expect(read).toHaveLength(2);
  });

  it('gives way to the event loop between batches', async () => {
    for (let at = 0; at < 10; at++) await batch(['a']);
    const readAtTurn: number[] = [];
    let isDone = false;
    const watch = (): void => {
      readAtTurn.push(read.length);
      if (!isDone) setImmediate(watch);
    };
    setImmediate(watch);
    await page({ app_id: 'nobody' });
    isDone = true;
    for (let batches = 1; batches < 10; batches++) expect(readAtTurn).toContain(batches);
  });

  it('looks at a bounded number of records for a rare app', async () => {
    await batch(['rare']);
    for (let at = 0; at < LOOKED_AT_MAX / 8 + 10; at++) await batch(Array.from({ length: 8 }, () => 'common'));
    expect((await page({ app_id: 'rare' })).records).toEqual([]);
    expect(read.length).toBeLessThanOrEqual(LOOKED_AT_MAX / 8 + 1);
  });

  it('holds records of one outcome however far back they are', async () => {
    await batch(['a'], { verdict: Verdict.late });
    for (let at = 0; at < 50; at++) await batch(['a']);
    expect(placesOf(await page({ outcome: 'late', limit: 1 }))).toBe('0.0');
    expect(read).toHaveLength(1);
  });

  it('shows outcomes whose bytes are gone', async () => {
    await batch(['a']);
    rings[1]?.unshift({ journal: 0, batchOffset: 48 * 1024, batchSequence: 1, index: 0, receivedAtMs: 5, verdict: Verdict.rejected, rejectCode: 0, windowStartMs: -1, dimensions: '' });
    expect((await page()).records).toMatchObject([{ event: { app_id: 'a' } }, { outcome: 'rejected', reason: 'NOT_JSON', event: null, bytes: '' }]);
  });
});

describe('the tail after a cursor', () => {
  it('goes on where each partition was, so that a thread that folds slowly is not skipped', async () => {
    const catchUp = await batch(['a', 'a', 'a', 'a', 'slow', 'slow'], { lagging: [4, 5] });
    await batch(['a', 'a']);
    const first = await page();
    expect(placesOf(first)).toBe('0.0 0.1 0.2 0.3 1.0 1.1');
    catchUp();
    await batch(['a']);
    const second = await page({ after: first.cursor });
    expect(placesOf(second)).toBe('0.4 0.5 2.0');
    expect(placesOf(await page({ after: second.cursor }))).toBe('');
  });

  it('gives the next ones and says that there are more, until all have been shown once', async () => {
    const { cursor } = await page();
    for (let at = 0; at < 5; at++) await batch(['a', 'b']);
    let after = cursor;
    const shown: string[] = [];
    for (let more = true; more; ) {
      const next = await page({ after, limit: 4 });
      shown.push(placesOf(next));
      ({ cursor: after, more } = next);
    }
    expect(shown).toEqual(['0.0 0.1 1.0 1.1', '2.0 2.1 3.0 3.1', '4.0 4.1']);
  });

  it('passes by the records of other apps and outcomes', async () => {
    const { cursor } = await page({ app_id: 'b', outcome: 'accepted' });
    await batch(['a', 'b']);
    await batch(['a', 'b'], { verdict: Verdict.late });
    const next = await page({ after: cursor, app_id: 'b', outcome: 'accepted' });
    expect(placesOf(next)).toBe('0.1');
    await batch(['b', 'a']);
    expect(placesOf(await page({ after: next.cursor, app_id: 'b', outcome: 'accepted' }))).toBe('2.0');
  });

  it.each(['abc', '1.1', '.-.-.-.-.-.-.', '.-.-.-.-.-.-.-.-.', 'x-.-.-.-.-.-.-.', '-.-.-.-.-.-.-.', '1.-.-.-.-.-.-.-.'])('is refused when it is none: %s', async (after) => {
    await expect(page({ after })).rejects.toMatchObject({ code: 'QUERY_INVALID', message: expect.stringMatching(/^after: /) as unknown });
  });
});
