import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { findEventIds } from '../../../sinks/lake/find-event-ids.ts';
import { findKnownEvents, type KnownEventsWorld } from '../../../sinks/lake/known-events.ts';
import { encodeParquet } from '../../../sinks/lake/parquet.ts';
import { TableBuilder } from '../../../sinks/lake/table-builder.ts';
import type { LakeTarget } from '../../../sinks/lake/target.ts';
import { duckdb } from '../../support/duckdb.ts';

const DATE = '2026-11-22';
const hex = (number: number): string => number.toString(16).padStart(8, '0').repeat(4);
const idsOf = (...numbers: number[]): Uint8Array => Buffer.from(numbers.map(hex).join(''), 'hex');

function file(ids: readonly (string | null)[]): Uint8Array {
  const table = new TableBuilder([{ name: 'event_id', type: 'text' }, { name: 'campaign_id', type: 'dictionary' }, { name: 'timestamp', type: 'timestamp_micros' }]);
  for (const id of ids) table.appendRow([id, 'spring', 1_795_309_323_456]);
  return encodeParquet(table.finish());
}

describe('looking for old events in the lake', () => {
  let root: string;
  let target: LakeTarget;
  let uploadedMs: number | null;
  const world = (): KnownEventsWorld => ({ target, find: findEventIds, uploadedThroughMs: async () => uploadedMs });
  const ask = (ids: Uint8Array, more: { comparableFromMs?: number; neededThroughMs?: number } = {}): Promise<Uint8Array | null> => findKnownEvents({ eventDate: DATE, ids, comparableFromMs: 0, neededThroughMs: 0, ...more }, world());
  const put = (name: string, ids: readonly (string | null)[]): Promise<void> => target.put(`events/event_date=${DATE}/${name}.parquet`, file(ids));

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-known-'));
    target = new FileTarget(`file:${root}`);
    uploadedMs = null;
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('finds those that any file of their date has, and no other', async () => {
    await put('20261122T010000Z-0000-part0000', Array.from({ length: 3_000 }, (_, index) => hex(index)));
    await put('20261122T011500Z-0000-part0000', [hex(70_000), null, 'p003-17', hex(0xabcdef).toUpperCase()]);
    await target.put('events/event_date=2026-11-23/20261122T010000Z-0000-part0000.parquet', file([hex(90_000)]));
    expect([...((await ask(idsOf(0, 2_999, 3_000, 70_000, 0xabcdef, 90_000, 2_999))) as Uint8Array)]).toEqual([1, 1, 0, 1, 0, 0, 1]);
    expect(await ask(idsOf())).toEqual(new Uint8Array(0));
  });

  it('finds none where the date has no files', async () => {
    expect([...((await ask(idsOf(1, 2))) as Uint8Array)]).toEqual([0, 0]);
  });

  it('cannot tell where a slot began before identities were made as they are now', async () => {
    await put('20261122T010000Z-0000-part0000', [hex(1)]);
    const from = (time: string): Promise<Uint8Array | null> => ask(idsOf(1), { comparableFromMs: Date.parse(time) });
    expect(await from('2026-11-22T01:00:01Z')).toBeNull();
    expect([...((await from('2026-11-22T01:00:00Z')) as Uint8Array)]).toEqual([1]);
  });

  it('waits until the lake has what it must', async () => {
    uploadedMs = 999;
    await expect(ask(idsOf(1), { neededThroughMs: 1_000 })).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    uploadedMs = 1_000;
    expect(await ask(idsOf(1), { neededThroughMs: 1_000 })).toEqual(new Uint8Array(1));
  });

  it('comes to all files where one listing does not hold them', async () => {
    const name = (part: number): string => `events/event_date=${DATE}/20261122T0${part % 10}0000Z-0000-part${String(part).padStart(4, '0')}.parquet`;
    const names = Array.from({ length: 2_500 }, (_, part) => name(part));
    const listed: LakeTarget = { ...target, list: async (prefix, limit) => names.filter((each) => each.startsWith(prefix)).slice(0, limit), get: async (each) => Buffer.from(each) };
    const seen = new Set<string>();
    const find = async (bytes: Uint8Array): Promise<Uint8Array> => {
      seen.add(Buffer.from(bytes).toString());
      return new Uint8Array(1);
    };
    await findKnownEvents({ eventDate: DATE, ids: idsOf(1), comparableFromMs: 0, neededThroughMs: 0 }, { target: listed, find, uploadedThroughMs: async () => null });
    expect(seen.size).toBe(2_500);
  });

  it('reads files of another writer, and refuses what is none', async () => {
    const other = join(root, 'other.parquet');
    await duckdb(`copy (select printf('%032x', range) as event_id, range as n from range(5000)) to '${other}' (format parquet)`);
    expect([...(await findEventIds(readFileSync(other), Buffer.from('00'.repeat(14) + '1387' + '00'.repeat(14) + '1388', 'hex')))]).toEqual([1, 0]);
    writeFileSync(other, 'no parquet');
    await expect(findEventIds(readFileSync(other), idsOf(1))).rejects.toMatchObject({ code: 'SINK_REFUSED' });
    await expect(findEventIds(encodeParquet(new TableBuilder([{ name: 'n', type: 'integer' }]).finish()), idsOf(1))).rejects.toMatchObject({ code: 'SINK_REFUSED' });
  });
});
