import { expect, it } from 'vitest';
import { eventFilesOf, sortedOut } from '../../../sinks/lake/event-files.ts';
import type { RewritableTarget } from '../../../sinks/lake/index.ts';

const FOLDER = 'events/event_date=2026-11-22/';
const file = (slot: string, part: number): string => `${FOLDER}20261122T${slot}-part${String(part).padStart(4, '0')}.parquet`;
const THROUGH = { startMs: Date.UTC(2026, 10, 22, 1, 15), part: 1 };

it('takes the files of slots that are written, in order, and tells those that are later', () => {
  const names = [file('013000Z-0000', 0), file('011500Z-0002', 0), file('011500Z-0001', 0), file('010000Z-0000', 1), file('010000Z-0000', 0)];
  expect(sortedOut(names, FOLDER, THROUGH)).toEqual({ names: [file('010000Z-0000', 0), file('010000Z-0000', 1), file('011500Z-0001', 0)], missing: [], later: 2, foreign: [] });
  expect(sortedOut(names, FOLDER, null)).toMatchObject({ names: [], later: 5 });
});

it('names the parts that are missing, not more than a bounded number of them, and what no slot is named by', () => {
  const names = [file('010000Z-0000', 3), file('010000Z-0000', 1), `${FOLDER}joined.parquet`, `${FOLDER}x/${'20261122T010000Z-0000-part0000.parquet'}`];
  expect(sortedOut(names, FOLDER, THROUGH)).toMatchObject({ missing: [file('010000Z-0000', 0), file('010000Z-0000', 2)], foreign: [`${FOLDER}joined.parquet`, `${FOLDER}x/20261122T010000Z-0000-part0000.parquet`] });
  expect(sortedOut([file('010000Z-0000', 999_999_999)], FOLDER, THROUGH).missing).toHaveLength(1_000);
});

it('lists the files of one date, however many, and none of another', async () => {
  const names = Array.from({ length: 2_500 }, (_, part) => file('010000Z-0000', part));
  const all = [`events/event_date=2026-11-21/20261121T010000Z-0000-part0000.parquet`, ...names, `${FOLDER}note.txt`, 'events/event_date=2026-11-23/20261123T010000Z-0000-part0000.parquet'].sort();
  const target = { listAfter: (_: string, after: string | null, limit: number) => Promise.resolve(all.filter((name) => after === null || name > after).slice(0, limit)) } as unknown as RewritableTarget;
  expect(await eventFilesOf(target, '2026-11-22', THROUGH)).toEqual({ names, missing: [], later: 0, foreign: [] });
});
