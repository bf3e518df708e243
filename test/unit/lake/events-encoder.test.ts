import { describe, expect, test } from 'vitest';
import type { LakeColumn } from '../../../engine/core/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../../engine/core/types.ts';
import type { TableData } from '../../../sinks/lake/column-builder.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS, eventsPath, type EventsEncoderBounds } from '../../../sinks/lake/events-encoder.ts';

interface TestEvent {
  readonly id: string;
  readonly timeMs: number;
}

const COLUMNS: readonly LakeColumn<TestEvent>[] = [{ name: 'id', type: 'text', of: (event) => event.id }];
const DAY = Date.UTC(2026, 10, 22);
const SLOT = { startMs: DAY + MS_PER_HOUR, part: 3 };
const at = (id: number, timeMs: number): TestEvent => ({ id: String(id), timeMs });

interface Written {
  readonly path: string;
  readonly ids: readonly string[];
}

const idsOf = (table: TableData): string[] => {
  const { offsets, bytes } = table.columns[0]?.text as { offsets: Int32Array; bytes: Uint8Array };
  return Array.from({ length: table.rowCount }, (_, row) => Buffer.from(bytes.subarray(offsets[row], offsets[row + 1])).toString());
};

function encode(events: readonly TestEvent[], bounds: Partial<EventsEncoderBounds> = {}): Written[] {
  const files: Written[] = [];
  let ids: string[] = [];
  const encoder = createEventsEncoder({
    columns: COLUMNS,
    slot: SLOT,
    bounds: { ...DEFAULT_EVENTS_BOUNDS, ...bounds },
    encodeTable: (table) => {
      ids = idsOf(table);
      return new Uint8Array(table.rowCount);
    },
    emit: ({ path, bytes, rows }) => {
      expect(bytes.byteLength).toBe(rows);
      files.push({ path, ids });
    },
  });
  for (const event of events) encoder.append(event, { eventId: event.id, late: false, receivedAtMs: 0 }, event.timeMs);
  encoder.finish();
  return files;
}

const numbered = (count: number, timeOf: (index: number) => number): TestEvent[] => Array.from({ length: count }, (_, index) => at(index, timeOf(index)));
const allIds = (files: readonly Written[]): string[] => files.flatMap((file) => file.ids);

describe('files of a slot', () => {
  test('are named by UTC event date, slot and part, and by nothing else', () => {
    const files = encode([at(1, DAY - 1), at(2, DAY), at(3, DAY + MS_PER_DAY - 1), at(4, Date.UTC(1969, 11, 31, 23))]);
    expect(files.map((file) => file.path)).toEqual([
      'events/event_date=1969-12-31/20261122T010000Z-0003-part0000.parquet',
      'events/event_date=2026-11-21/20261122T010000Z-0003-part0000.parquet',
      'events/event_date=2026-11-22/20261122T010000Z-0003-part0000.parquet',
    ]);
    expect(files[2]?.ids).toEqual(['2', '3']);
  });

  test('keep the order of appending and are cut at the fixed number of rows', () => {
    const files = encode(numbered(10, () => DAY), { rowsPerFile: 4 });
    expect(files).toEqual([0, 1, 2].map((part) => ({ path: eventsPath(DAY / MS_PER_DAY, SLOT, part), ids: numbered(10, () => DAY).slice(part * 4, part * 4 + 4).map(({ id }) => id) })));
  });

  test('an exact multiple leaves no empty file, and no rows leave none at all', () => {
    expect(encode(numbered(8, () => DAY), { rowsPerFile: 4 })).toHaveLength(2);
    expect(encode([])).toEqual([]);
  });

  test('are cut at their bytes too, so that large rows stay bounded', () => {
    const files = encode(numbered(6, () => DAY).map((event) => ({ ...event, id: event.id.repeat(1_000) })), { fileBytesMax: 2_500 });
    expect(files.map((file) => file.ids.length)).toEqual([3, 3]);
  });

  test('beyond the buffered rows of all dates the largest one is cut', () => {
    const events = [...numbered(4, () => DAY), ...numbered(3, (index) => DAY + (index + 1) * MS_PER_DAY)];
    const files = encode(events, { bufferedRowsMax: 5 });
    expect(files[0]).toEqual({ path: eventsPath(DAY / MS_PER_DAY, SLOT, 0), ids: ['0', '1', '2', '3'] });
    expect(files).toHaveLength(4);
  });

  test('beyond the buffered bytes the largest is cut, and of equal ones the earliest date', () => {
    const files = encode([at(1, DAY + MS_PER_DAY), at(2, DAY), at(3, DAY + 2 * MS_PER_DAY)], { bufferedBytesMax: 14 });
    expect(files[0]?.path).toContain('event_date=2026-11-22');
  });

  test('beyond the open dates the one that waited longest is cut, not the one that everybody uses', () => {
    const hostile = Array.from({ length: 50 }, (_, index) => [at(index, DAY), at(1_000 + index, DAY - (index + 1) * MS_PER_DAY)]).flat();
    const files = encode(hostile, { openDatesMax: 4 });
    const ofToday = files.filter((file) => file.path.includes('2026-11-22'));
    expect(ofToday).toHaveLength(1);
    expect(ofToday[0]?.ids).toHaveLength(50);
  });

  test('two thousand dates, back and forth, lose no row, double none and overwrite no file', () => {
    const events = numbered(6_000, (index) => DAY - ((index * 7_919) % 2_000) * MS_PER_DAY);
    const files = encode(events, { openDatesMax: 64, bufferedRowsMax: 1_000 });
    expect(new Set(files.map((file) => file.path)).size).toBe(files.length);
    expect(allIds(files).map(Number).sort((a, b) => a - b)).toEqual(events.map((_, index) => index));
    for (const { ids } of files) expect(ids.map(Number)).toEqual(ids.map(Number).sort((a, b) => a - b));
  });

  test('are a function of the rows: the same rows give the same files', () => {
    const events = numbered(5_000, (index) => DAY - ((index * 31) % 40) * MS_PER_DAY);
    const bounds = { openDatesMax: 8, bufferedRowsMax: 300, bufferedBytesMax: 4_000, rowsPerFile: 100 };
    expect(encode(events, bounds)).toEqual(encode(events, bounds));
  });
});
