/** What the poller tells of itself: for metrics, alarms and whoever waits for a back-fill. Plain data: crosses to the main thread. */

/** One app and report. Times are epoch ms, 0 for never. */
export interface PullJobFigures {
  readonly app: string;
  readonly report: string;
  readonly startedMs: number;
  readonly succeededMs: number;
  /** Everything before it has been read; 0 for nothing yet. */
  readonly coveredToMs: number;
  readonly callsLeft: number;
  readonly windowsPending: number;
  /** Since the start of the process. */
  readonly calls: number;
  readonly appended: number;
  readonly known: number;
  readonly skipped: number;
  readonly malformed: number;
  readonly failures: number;
  /** Why it is not read now, or fails; null when all is well. */
  readonly trouble: string | null;
}

export interface PullBackfillFigures {
  readonly key: string;
  readonly app: string;
  readonly report: string;
  readonly windowsDone: number;
  readonly windowsPending: number;
  readonly rows: number;
  readonly known: number;
  readonly skipped: number;
  readonly malformed: number;
  /** What it waits for; null while it is read, and once it is done. */
  readonly waits: string | null;
}

export interface PullFigures {
  readonly jobs: readonly PullJobFigures[];
  readonly backfills: readonly PullBackfillFigures[];
  /** What somebody should know, as /v1/pipeline shows it. */
  readonly alarms: readonly string[];
}
