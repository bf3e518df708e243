/**
 * Rows of one lake slot into the Parquet files of `events/`, one event date to a file.
 *
 * Guarantees: rows keep the order in which they are appended; where a file is cut follows from the rows and the four bounds alone, so the
 * same rows give the same names and content. Memory is bounded whatever the event dates are: a file ends at `rowsPerFile` rows or
 * `fileBytesMax` bytes of columns; beyond `bufferedRowsMax` or `bufferedBytesMax` over all dates the largest one is cut, and beyond
 * `openDatesMax` dates the one that has waited longest. No file is open between two calls. Pool thread.
 */

import { slotName, type SlotId } from '../../engine/core/lake-slot.ts';
import type { LakeColumn, LakeContext } from '../../engine/core/pipeline.ts';
import { assert, MS_PER_DAY } from '../../engine/core/types.ts';
import type { ColumnBuilder, TableData } from './column-builder.ts';
import { TableBuilder } from './table-builder.ts';

/** Where files are cut. A change of these between two encodings of one slot changes its files: the spool never mixes two encodings. */
export interface EventsEncoderBounds {
  readonly rowsPerFile: number;
  readonly fileBytesMax: number;
  readonly bufferedRowsMax: number;
  readonly bufferedBytesMax: number;
  readonly openDatesMax: number;
}

/**
 * Chosen: 250,000 rows are a file of 13 MB or more. While one is encoded there are its columns, up to twice over for their growth, their stream, two
 * copies of that in WebAssembly, and the file (measured: encoding 600,000 rows of the bench took 240 MiB more than the process had, at its peak).
 */
export const DEFAULT_EVENTS_BOUNDS: EventsEncoderBounds = {
  rowsPerFile: 250_000,
  fileBytesMax: 64 * 1024 * 1024,
  bufferedRowsMax: 500_000,
  bufferedBytesMax: 96 * 1024 * 1024,
  openDatesMax: 256,
};

export interface EventsFile {
  /** Relative to the lake's root. */
  readonly path: string;
  /** Owned by the receiver. */
  readonly bytes: Uint8Array;
  readonly rows: number;
}

export interface EventsEncoderOptions<Event> {
  readonly columns: readonly LakeColumn<Event>[];
  readonly slot: SlotId;
  readonly bounds: EventsEncoderBounds;
  /** Copies what it keeps of the table. */
  readonly encodeTable: (table: TableData) => Uint8Array;
  readonly emit: (file: EventsFile) => void;
}

export interface EventsEncoder<Event> {
  append(event: Event, context: LakeContext, eventTimeMs: number): void;
  /** Cuts what is open, by rising date. Nothing may be appended afterwards. */
  finish(): void;
}

export const eventsPath = (day: number, slot: SlotId, part: number): string => {
  const iso = new Date(day * MS_PER_DAY).toISOString();
  return `events/event_date=${iso.slice(0, iso.indexOf('T'))}/${slotName(slot)}-part${String(part).padStart(4, '0')}.parquet`;
};

export const createEventsEncoder = <Event>(options: EventsEncoderOptions<Event>): EventsEncoder<Event> => new Encoder(options);

interface OpenDate {
  readonly day: number;
  readonly table: TableBuilder;
  bytes: number;
  /** Number of the row appended last. */
  lastRow: number;
}

class Encoder<Event> implements EventsEncoder<Event> {
  readonly #options: EventsEncoderOptions<Event>;
  readonly #valueOf: readonly LakeColumn<Event>['of'][];
  readonly #open = new Map<number, OpenDate>();
  /** Next part of each date seen in this slot. */
  readonly #nextPart = new Map<number, number>();
  #rows = 0;
  #bufferedRows = 0;
  #bufferedBytes = 0;
  /** Memory of the date that was cut last, for the next. */
  #spare: TableBuilder | null = null;
  /** Nearly every row has the date of the row before. */
  #current: OpenDate | null = null;

  constructor(options: EventsEncoderOptions<Event>) {
    this.#options = options;
    this.#valueOf = options.columns.map((column) => column.of);
  }

  append(event: Event, context: LakeContext, eventTimeMs: number): void {
    const { bounds } = this.#options;
    const valueOf = this.#valueOf;
    const day = Math.floor(eventTimeMs / MS_PER_DAY);
    const date = this.#current?.day === day ? this.#current : this.#dateOf(day);
    const builders = date.table.columns;
    let bytes = 0;
    for (let index = 0; index < valueOf.length; index++) {
      bytes += (builders[index] as ColumnBuilder).append((valueOf[index] as LakeColumn<Event>['of'])(event, context));
    }
    date.table.endRow();
    date.lastRow = this.#rows++;
    date.bytes += bytes;
    this.#bufferedRows++;
    this.#bufferedBytes += bytes;
    if (date.table.rowCount >= bounds.rowsPerFile || date.bytes >= bounds.fileBytesMax) this.#cut(date);
    else if (this.#bufferedRows > bounds.bufferedRowsMax || this.#bufferedBytes > bounds.bufferedBytesMax) this.#cut(this.#largest());
  }

  finish(): void {
    for (const date of [...this.#open.values()].sort((a, b) => a.day - b.day)) this.#cut(date);
  }

  #dateOf(day: number): OpenDate {
    let date = this.#open.get(day);
    if (date === undefined) {
      if (this.#open.size >= this.#options.bounds.openDatesMax) this.#cut(this.#longestWaiting());
      date = { day, table: this.#spare ?? new TableBuilder(this.#options.columns), bytes: 0, lastRow: this.#rows };
      this.#spare = null;
      this.#open.set(day, date);
    }
    this.#current = date;
    return date;
  }

  #cut(date: OpenDate): void {
    const { slot, encodeTable, emit } = this.#options;
    const rows = date.table.rowCount;
    assert(rows > 0, 'an open date has rows');
    const part = this.#nextPart.get(date.day) ?? 0;
    this.#nextPart.set(date.day, part + 1);
    this.#open.delete(date.day);
    if (this.#current === date) this.#current = null;
    this.#bufferedRows -= rows;
    this.#bufferedBytes -= date.bytes;
    emit({ path: eventsPath(date.day, slot, part), bytes: encodeTable(date.table.finish()), rows });
    date.table.reset();
    this.#spare = date.table;
  }

  /** By bytes, for these are what memory is made of; of equal ones the earliest date. */
  #largest(): OpenDate {
    return this.#pick((a, b) => b.bytes - a.bytes || a.day - b.day);
  }

  #longestWaiting(): OpenDate {
    return this.#pick((a, b) => a.lastRow - b.lastRow);
  }

  #pick(order: (a: OpenDate, b: OpenDate) => number): OpenDate {
    let best: OpenDate | undefined;
    for (const date of this.#open.values()) if (best === undefined || order(date, best) < 0) best = date;
    assert(best !== undefined, 'a date is open');
    return best;
  }
}
