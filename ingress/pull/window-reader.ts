/**
 * The rows of one downloaded report into the journal.
 *
 * A row is appended where dedupe still knows every copy of it that came before. Older ones are looked for in the lake by their identity, and only
 * those that it does not have are appended; where the lake's identities of that time were made otherwise nobody can tell, and such rows are left out and counted.
 * Rows with another number of cells than the header are appended as what they are, malformed, and end as dead letters.
 * Memory: one piece of the file, one request of records, and 20 bytes for each old row. Reading again is harmless.
 */

import { createHash } from 'node:crypto';
import { CsvFault, type Cells } from '../../engine/core/csv.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { OWN_RECORDS_BYTES_MAX, OWN_RECORDS_MAX } from '../../engine/core/own-records.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { countLines, reportRows } from './csv.ts';
import { OldRows } from './old-rows.ts';
import type { IdentityFacts, PullPorts } from './ports.ts';
import type { PullReport } from './reports.ts';
import { RowEncoder } from './rows.ts';

export interface ReportFile {
  readonly file: string;
  readonly report: PullReport;
  readonly appId: string;
  readonly maximumRows: number;
  readonly identity: IdentityFacts;
}

/** Rows that entered the journal, that the lake had, that nobody could tell from those it has, and that had the wrong number of cells. */
export interface RowCounts {
  appended: number;
  known: number;
  skipped: number;
  malformed: number;
}

export type WindowOutcome = { readonly type: 'read'; readonly counts: RowCounts } | { readonly type: 'truncated'; readonly rows: number };

/** This is no raw-data report. */
export class ReportFault extends Error {
  override readonly name = 'ReportFault';
}

/** So much before the horizon a row counts as old, for its way to the journal; of a short horizon a tenth. */
const HORIZON_MARGIN_MS = 2 * MS_PER_HOUR;
const HORIZON_MARGIN_SHARE = 0.1;
/** A reading that takes longer begins anew: the horizon has moved. */
const READING_MS_MAX = MS_PER_HOUR;
/** An event may come a little before its time. */
const SKEW_MS = 10 * MS_PER_MINUTE;
/** Malformed rows that are kept of one report, and remembered so that each is kept once. Chosen. */
const MALFORMED_MAX = 1_000;
const MALFORMED_REMEMBERED_MAX = 10_000;
const APPEND_PAUSE_MS = 1_000;
const APPEND_PAUSE_MAX_MS = 30_000;

export class WindowReader {
  readonly #ports: PullPorts;
  readonly #seenMalformed = new Set<string>();

  constructor(ports: PullPorts) {
    this.#ports = ports;
  }

  /** Rejects with CsvFault or ReportFault for what is no report, EngineError for what may pass, or the signal's reason. `truncated`: nothing was appended. */
  async read(source: ReportFile, signal: AbortSignal, onRows: (counts: RowCounts) => void): Promise<WindowOutcome> {
    const cut = await this.#isCut(source, signal);
    if (cut !== null) return { type: 'truncated', rows: cut };
    const startedMs = this.#ports.clock.nowMs();
    const limits = limitsOf(source, startedMs);
    // The whole report is looked through once the first old row is met: most have none.
    let old: OldRows | null = null;
    const counts: RowCounts = { appended: 0, known: 0, skipped: 0, malformed: 0 };
    const batch = new Batch();
    for await (const { encoder, rows, first } of numbered(source)) {
      if (this.#ports.clock.nowMs() - startedMs > READING_MS_MAX) throw new EngineError('DOOR_CLOSED', 'the rows of a report could not be appended in time and are read again');
      for (let at = 0; at < rows.length; at++) {
        const cells = rows[at] as Cells;
        if (old === null && isOld(encoder, cells, limits)) old = await this.#lookUp(source, limits, signal);
        const record = this.#recordOf(encoder, cells, old === null ? 'append' : old.fateOf(first + at), counts);
        if (record === null) continue;
        if (!batch.fits(record)) await this.#append(batch, counts, signal);
        batch.add(record, encoder.fits(cells));
      }
      onRows(counts);
    }
    if (batch.records.length > 0) await this.#append(batch, counts, signal);
    onRows(counts);
    return { type: 'read', counts };
  }

  /** Rows where there are as many as one answer holds, which then has been cut; else null. Rows are counted only where there are lines enough. */
  async #isCut(source: ReportFile, signal: AbortSignal): Promise<number | null> {
    if ((await countLines(source.file)) <= source.maximumRows) return null;
    let rows = 0;
    for await (const numberedRows of numbered(source)) {
      signal.throwIfAborted();
      rows += numberedRows.rows.length;
    }
    return rows >= source.maximumRows ? rows : null;
  }

  /** What becomes of each row that dedupe does not vouch for. */
  async #lookUp(source: ReportFile, limits: Limits, signal: AbortSignal): Promise<OldRows> {
    const { identity } = source;
    const isOwn = source.report.kind !== null;
    const old = new OldRows();
    for await (const { encoder, rows, first } of numbered(source)) {
      signal.throwIfAborted();
      for (let at = 0; at < rows.length; at++) {
        const cells = rows[at] as Cells;
        if (isOld(encoder, cells, limits)) this.#noteOld(old, encoder, cells, first + at);
      }
    }
    for (const eventDate of old.dates()) {
      signal.throwIfAborted();
      const answer = await this.#ports.known({ eventDate, ids: old.idsOf(eventDate), comparableFromMs: isOwn ? 0 : identity.sinceMs, neededThroughMs: Math.max(limits.horizonMs, limits.rememberedMs) });
      old.settle(eventDate, answer);
    }
    return old;
  }

  #noteOld(old: OldRows, encoder: RowEncoder, cells: Cells, row: number): void {
    const eventDate = encoder.eventDate(cells);
    // Without a time or an identity it is rejected, and counts nowhere.
    if (eventDate === null) return;
    old.add(eventDate, row, (out, at) => this.#ports.identify(Buffer.from(encoder.encode(cells)), out, at));
  }

  #recordOf(encoder: RowEncoder, cells: Cells, fate: 'append' | 'known' | 'skipped', counts: RowCounts): Uint8Array | null {
    if (!encoder.fits(cells)) {
      counts.malformed++;
      return counts.malformed > MALFORMED_MAX ? null : this.#malformed(encoder.encodeMalformed(cells));
    }
    if (fate === 'append') return Buffer.from(encoder.encode(cells));
    counts[fate]++;
    return null;
  }

  /** Once: a report is read again and again. */
  #malformed(text: string): Uint8Array | null {
    const hash = createHash('sha256').update(text).digest('base64');
    if (this.#seenMalformed.has(hash)) return null;
    if (this.#seenMalformed.size >= MALFORMED_REMEMBERED_MAX) this.#seenMalformed.clear();
    this.#seenMalformed.add(hash);
    return Buffer.from(text);
  }

  /** Tries until the records are durable: while the door is closed the poller waits. */
  async #append(batch: Batch, counts: RowCounts, signal: AbortSignal): Promise<void> {
    for (let pauseMs = APPEND_PAUSE_MS; ; pauseMs = Math.min(APPEND_PAUSE_MAX_MS, 2 * pauseMs)) {
      signal.throwIfAborted();
      try {
        await this.#ports.append(batch.records);
        break;
      } catch (error) {
        if (!(error instanceof EngineError) || !error.retryable) throw error;
        await this.#ports.pause(pauseMs, signal);
      }
    }
    counts.appended += batch.sound;
    batch.clear();
  }
}

/** A row that anybody may have known of before one of these is old. */
interface Limits {
  readonly horizonMs: number;
  readonly rememberedMs: number;
}

const limitsOf = ({ identity: { horizonMs, rememberedSinceMs } }: ReportFile, nowMs: number): Limits => ({
  horizonMs: nowMs - horizonMs + Math.min(HORIZON_MARGIN_MS, horizonMs * HORIZON_MARGIN_SHARE),
  rememberedMs: rememberedSinceMs === 0 ? 0 : rememberedSinceMs + SKEW_MS,
});

/** False too where its time cannot be read: it is rejected, and counts nowhere. */
function isOld(encoder: RowEncoder, cells: Cells, { horizonMs, rememberedMs }: Limits): boolean {
  if (!encoder.fits(cells)) return false;
  const knownSinceMs = encoder.knownSinceMs(cells);
  return knownSinceMs < Math.max(horizonMs, rememberedMs);
}

/** Records of one request. */
class Batch {
  records: Uint8Array[] = [];
  /** Those that are not malformed. */
  sound = 0;
  #bytes = 0;

  fits(record: Uint8Array): boolean {
    return this.records.length === 0 || (this.records.length < OWN_RECORDS_MAX && this.#bytes + record.byteLength <= OWN_RECORDS_BYTES_MAX);
  }

  add(record: Uint8Array, isSound: boolean): void {
    this.records.push(record);
    if (isSound) this.sound++;
    this.#bytes += record.byteLength;
  }

  clear(): void {
    this.records = [];
    this.sound = 0;
    this.#bytes = 0;
  }
}

/** Rows below the header; `first` is the number of the first of them, from 0. Raises ReportFault for a header that is none. */
async function* numbered({ file, report, appId }: ReportFile): AsyncGenerator<{ readonly encoder: RowEncoder; readonly rows: readonly Cells[]; readonly first: number }> {
  let encoder: RowEncoder | null = null;
  let first = 0;
  for await (const piece of reportRows(file)) {
    let rows = piece;
    if (encoder === null) {
      const header = piece[0] as Cells;
      encoder = RowEncoder.create({ report, appId, header });
      if (encoder === null) throw new ReportFault(`begins with ${JSON.stringify(header.slice(0, 5).join(',').slice(0, 100))}, which is no header of a raw-data report`);
      rows = piece.slice(1);
    }
    if (rows.length > 0) yield { encoder, rows, first };
    first += rows.length;
  }
  if (encoder === null) throw new CsvFault('is empty: not even a header is there');
}
