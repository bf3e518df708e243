/**
 * What a soak does, worked out before it starts: how fast its clock runs, when everything has reached its plateau, and from when on
 * growth is judged. Pure.
 *
 * The judged part is a whole number of the sped-up clock's days: what fills and empties by the day then begins and ends alike.
 */

const MS_PER_HOUR = 3_600_000;
const HOURS_PER_DAY = 24;
/** Running time stands still while the journal does for more than 2 s: chosen. */
const RUNNING_TIME_SLACK = 1.05;
/** Less than this many samples say nothing of growth. */
export const SAMPLES_JUDGED_MIN = 30;

export interface SoakOptions {
  readonly hours: number;
  readonly ratePerSecond: number;
  /** Seconds of the daemon's clock in one second. */
  readonly speedup: number;
  readonly horizonHours: number;
  /** Bytes of one record; 0: as the generator makes them. */
  readonly recordBytes: number;
  readonly recordsPerRequest: number;
  readonly sampleSeconds: number;
  readonly seed: number;
}

export const DEFAULTS: SoakOptions = { hours: 1, ratePerSecond: 20_000, speedup: 125, horizonHours: 24, recordBytes: 0, recordsPerRequest: 100, sampleSeconds: 10, seed: 1 };

/** Days that results are kept; the shortest there is. */
export const RETENTION_DAYS = 1;

export interface SoakPlan {
  readonly totalMs: number;
  /** Length of the sped-up clock's day. */
  readonly dayMs: number;
  /** From here on growth is judged; null where the run is too short for it. */
  readonly judgedFromMs: number | null;
  /** Whole days judged; 0 where the rest of the run is less than one. */
  readonly daysJudged: number;
}

/** Cells of a day stay in the partitions' stores until retention and one more day have passed after it: only then are they as full as they get. */
export function makePlan({ hours, speedup, horizonHours, sampleSeconds }: SoakOptions): SoakPlan {
  const totalMs = hours * MS_PER_HOUR;
  const dayMs = (HOURS_PER_DAY * MS_PER_HOUR) / speedup;
  const cellsFullHours = (1 + RETENTION_DAYS + 1) * HOURS_PER_DAY + 1;
  const dedupeFullHours = (horizonHours + 2) * RUNNING_TIME_SLACK;
  const warmUpMs = (Math.max(cellsFullHours, dedupeFullHours) * MS_PER_HOUR) / speedup;
  const daysJudged = Math.max(0, Math.floor((totalMs - warmUpMs) / dayMs));
  const judgedFromMs = daysJudged > 0 ? totalMs - daysJudged * dayMs : warmUpMs;
  const samples = (totalMs - judgedFromMs) / (sampleSeconds * 1_000);
  return { totalMs, dayMs, daysJudged, judgedFromMs: samples >= SAMPLES_JUDGED_MIN ? judgedFromMs : null };
}

const MIB = 1024 ** 2;

/** Settings under which everything that is kept reaches its limit within the warm-up. */
export function daemonSettings({ horizonHours }: SoakOptions): Record<string, string> {
  return {
    MILLRACE_DEDUPE_HORIZON_HOURS: String(horizonHours),
    MILLRACE_CELLS_RETENTION_DAYS: String(RETENTION_DAYS),
    MILLRACE_JOURNAL_SEGMENT_BYTES: String(64 * MIB),
    MILLRACE_JOURNAL_BYTES_MAX: String(2_048 * MIB),
    MILLRACE_DEAD_LETTERS_BYTES_MAX: String(16 * MIB),
    MILLRACE_LAKE_HOURLY_INTERVAL_SECONDS: '10',
    MILLRACE_REDIS_HOUR_TTL_HOURS: '6',
    MILLRACE_REDIS_DAY_TTL_HOURS: '6',
  };
}
