/**
 * What the poller remembers over restarts: for each app and report how far it has been read, which windows are still to be read, and the calls of
 * the day; and the back-fills that were asked for.
 *
 * It is one small text behind a port. A window leaves it once all its rows are durable in the journal, so that a crash at any point reads a window
 * twice at most, and rows that come twice count once.
 */

import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { z } from '../../engine/core/schema.ts';
import type { PullWindow } from './windows.ts';

/** Where the text is kept. `write` replaces it whole and is durable on return. */
export interface PullStateStore {
  /** Null before the first write. */
  read(): string | null;
  write(text: string): void;
}

const windowSchema = z.object({ fromMs: z.int(), toMs: z.int() });

const jobSchema = z.object({
  /** Everything before it has been read once; null at first. */
  coveredToMs: z.int().nullable(),
  /** Of the poll under way, oldest first. */
  pending: z.array(windowSchema),
  /** Beginning and end of the last poll; 0 for none. */
  startedMs: z.int(),
  succeededMs: z.int(),
  day: z.string(),
  calls: z.int(),
  /** No call before, because the calls of the day were spent. */
  stoppedUntilMs: z.int(),
});

const backfillSchema = z.object({
  app: z.string(),
  report: z.string(),
  fromMs: z.int(),
  toMs: z.int(),
  pending: z.array(windowSchema),
  done: z.int(),
  rows: z.int(),
  known: z.int(),
  skipped: z.int(),
  malformed: z.int(),
});

const stateSchema = z.object({ version: z.literal(1), jobs: z.record(z.string(), jobSchema), backfills: z.record(z.string(), backfillSchema) });

export interface JobRecord {
  coveredToMs: number | null;
  pending: PullWindow[];
  startedMs: number;
  succeededMs: number;
  day: string;
  calls: number;
  stoppedUntilMs: number;
}

/** `done` windows; rows that entered the journal, that the lake had, that could not be told from those it has, and that were malformed. */
export interface BackfillRecord {
  readonly app: string;
  readonly report: string;
  readonly fromMs: number;
  readonly toMs: number;
  pending: PullWindow[];
  done: number;
  rows: number;
  known: number;
  skipped: number;
  malformed: number;
}

/** Finished back-fills that are remembered, so that the same one is answered and not begun again. Chosen. */
const FINISHED_MAX = 100;

export const jobKey = (app: string, report: string): string => `${app}/${report}`;

export const backfillKey = ({ app, report, fromMs, toMs }: Pick<BackfillRecord, 'app' | 'report' | 'fromMs' | 'toMs'>): string => `${app}/${report}/${new Date(fromMs).toISOString()}/${new Date(toMs).toISOString()}`;

export class PullState {
  readonly jobs: Map<string, JobRecord>;
  readonly backfills: Map<string, BackfillRecord>;
  readonly #store: PullStateStore;

  private constructor(store: PullStateStore, jobs: Map<string, JobRecord>, backfills: Map<string, BackfillRecord>) {
    this.#store = store;
    this.jobs = jobs;
    this.backfills = backfills;
  }

  /** Raises STATE_CORRUPT. */
  static open(store: PullStateStore): PullState {
    const text = store.read();
    if (text === null) return new PullState(store, new Map(), new Map());
    try {
      const { jobs, backfills } = stateSchema.parse(JSON.parse(text));
      return new PullState(store, new Map(Object.entries(jobs)), new Map(Object.entries(backfills)));
    } catch (error) {
      throw new EngineError('STATE_CORRUPT', `what the Pull poller remembers cannot be read: ${messageOf(error)}`, {
        cause: error,
        fix: 'remove pull.json from the data directory: reports are then read anew from pull.overlap_hours ago, and what lies between needs `millrace backfill`',
      });
    }
  }

  job(app: string, report: string): JobRecord {
    const key = jobKey(app, report);
    let record = this.jobs.get(key);
    if (record === undefined) {
      record = { coveredToMs: null, pending: [], startedMs: 0, succeededMs: 0, day: '', calls: 0, stoppedUntilMs: 0 };
      this.jobs.set(key, record);
    }
    return record;
  }

  /** Durable on return. */
  save(): void {
    const finished = [...this.backfills].filter(([, { pending }]) => pending.length === 0);
    for (const [key] of finished.slice(0, Math.max(0, finished.length - FINISHED_MAX))) this.backfills.delete(key);
    this.#store.write(JSON.stringify({ version: 1, jobs: Object.fromEntries(this.jobs), backfills: Object.fromEntries(this.backfills) }));
  }
}
