/**
 * A row of the lake's `events/` turned back into the event that it was written from, as far as its columns go: all that the dimensions, the breakdown and the
 * measures below ask of an event, so that the pipeline's own functions count it again.
 *
 * What no column says: whether there was an amount without a price (`unpriced_events`), and whose amounts were left out of a sum.
 * One event per instance, reused. Owned by the command that reads the lake.
 */

import { AppsflyerEvent, type Attribution } from './event.ts';
import { typeNamed } from './message-type.ts';
import { appsflyerPipeline } from './pipeline.ts';
import { Scanner } from './scan/scanner.ts';

/** In the pipeline's order. */
export const ROW_DIMENSIONS: readonly string[] = appsflyerPipeline.dimensions.map(({ name }) => name);
/** Before the dimensions among the texts of a row. */
export const ROW_TEXTS = ['event_type', 'event_name'] as const;
export const ROW_FLAGS = ['is_primary', 'late', 'is_test'] as const;

/** What is read of a file. Files from before there were test apps have no such column, and no such rows. */
export const LAKE_ROW_COLUMNS = { time: 'timestamp', texts: [...ROW_TEXTS, ...ROW_DIMENSIONS], micros: 'revenue', flags: ROW_FLAGS, flagsOptional: ['is_test'] };

/** Measures that rows cannot tell. */
export const MEASURES_NOT_IN_ROWS: ReadonlySet<string> = new Set(['unpriced_events', 'left_out_amounts']);
/** Measures that hang on `metrics.conversion_events`, and on nothing else that is ruled once a row is written; the breakdown does too. */
export const CONVERSION_MEASURES: ReadonlySet<string> = new Set(['conversions', 'secondary_conversions']);

export interface LakeRow {
  readonly eventType: string;
  readonly eventName: string;
  readonly timeMs: number;
  /** Null for none. */
  readonly revenueMicros: number | null;
  readonly isPrimary: boolean;
  readonly isTest: boolean;
  /** In the order of ROW_DIMENSIONS. */
  readonly dimensions: readonly string[];
}

export class RowEvents {
  // No field was sent: whoever asks for one finds none.
  readonly #event = new AppsflyerEvent(new Scanner().fields);

  /** Null for a type that this program does not know. Valid until the next call. */
  eventOf(row: LakeRow): AppsflyerEvent | null {
    const type = typeNamed(row.eventType);
    if (type === undefined) return null;
    const event = this.#event;
    event.eventType = type.eventType;
    event.eventName = row.eventName;
    event.timeMs = row.timeMs;
    event.isPriced = row.revenueMicros !== null;
    event.revenueMicros = row.revenueMicros ?? 0;
    // A test app's record is of no other kind any more (apps.ts); its columns have kept what it was.
    event.isTest = row.isTest;
    event.action = row.isTest ? 'test' : type.action;
    event.isAttributed = type.isAttributed && !row.isTest;
    event.isPrimary = event.isAttributed && row.isPrimary;
    event.isSecondary = event.isAttributed && !row.isPrimary;
    [event.campaignId = '', event.appId = '', event.platform = '', event.mediaSource = '', event.country = '', event.device = ''] = row.dimensions;
    event.attribution = row.dimensions[6] as Attribution;
    return event;
  }
}
