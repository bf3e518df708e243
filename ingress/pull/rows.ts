/**
 * One row of a report to the record that enters the journal: a JSON object keyed by Push names, cells as they stood.
 *
 * Empty cells, `null`, `NULL` and `N/A` are left out: they all say that there is nothing. `app_id` is the asked one where the report has no such column.
 *
 * Hot path: 20 K rows a second, at most 10 µs a row; bench/micro/pull.ts.
 */

import { isReportHeader, pushNames } from './columns.ts';
import type { PullReport } from './reports.ts';

const EMPTY = new Set(['', 'null', 'NULL', 'N/A']);
const DATE_LENGTH = 10;
const TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/;
const MALFORMED_CHARACTERS_MAX = 64 * 1024;

export interface RowEncoderOptions {
  readonly report: PullReport;
  readonly appId: string;
  readonly header: readonly string[];
}

export class RowEncoder {
  readonly columns: number;
  readonly #report: PullReport;
  readonly #appId: string;
  /** `"name":` by column, encoded once; '' for a column that is left out. */
  readonly #keys: readonly string[];
  readonly #head: string;
  readonly #timeColumn: number;
  readonly #knownColumn: number;

  private constructor({ report, appId, header }: RowEncoderOptions, names: readonly (string | null)[]) {
    this.columns = header.length;
    this.#report = report;
    this.#appId = appId;
    this.#keys = names.map((name) => (name === null ? '' : `${JSON.stringify(name)}:`));
    const own = [...(names.includes('app_id') ? [] : [`"app_id":${JSON.stringify(appId)}`]), ...(report.kind === null ? [] : [`"millrace_kind":${JSON.stringify(report.kind)}`])];
    this.#head = own.join(',');
    this.#timeColumn = names.indexOf('event_time');
    const detection = report.growsBackwards ? names.indexOf('detection_date') : -1;
    this.#knownColumn = detection >= 0 ? detection : this.#timeColumn;
  }

  /** Null where the header is not that of a raw-data report. */
  static create(options: RowEncoderOptions): RowEncoder | null {
    const names = pushNames(options.header);
    return isReportHeader(names) ? new RowEncoder(options, names) : null;
  }

  fits(cells: readonly string[]): boolean {
    return cells.length === this.columns;
  }

  /** The record of a row that {@link fits}. */
  encode(cells: readonly string[]): string {
    let text = this.#head;
    for (let column = 0; column < cells.length; column++) {
      const cell = cells[column] as string;
      const key = this.#keys[column] as string;
      if (key === '' || (cell.length <= 4 && EMPTY.has(cell))) continue;
      text += text === '' ? key : `,${key}`;
      text += JSON.stringify(cell);
    }
    return `{${text}}`;
  }

  /** What is kept of a row that has another number of cells than the header: never valid JSON, so that it ends as a dead letter that says why. */
  encodeMalformed(cells: readonly string[]): string {
    const line = cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',');
    return `row of ${this.#report.name} of ${this.#appId} with ${cells.length} cells under a header of ${this.columns}: ${line}`.slice(0, MALFORMED_CHARACTERS_MAX);
  }

  /** The day of the event as the lake files it (`yyyy-mm-dd`), or null where the time cannot be read. */
  eventDate(cells: readonly string[]): string | null {
    const cell = cells[this.#timeColumn] as string;
    return TIME.test(cell) ? cell.slice(0, DATE_LENGTH) : null;
  }

  /** Since when anybody can have known of the row, epoch ms: a copy of it came later than that. NaN where it cannot be read. */
  knownSinceMs(cells: readonly string[]): number {
    const cell = cells[this.#knownColumn] as string;
    const time = TIME.test(cell) ? `${cell.slice(0, DATE_LENGTH)}T${cell.slice(DATE_LENGTH + 1, DATE_LENGTH + 9)}Z` : `${cell.slice(0, DATE_LENGTH)}T00:00:00Z`;
    return Date.parse(time);
  }
}
