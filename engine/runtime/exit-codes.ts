/** Exit codes of every Millrace command; documented in engine/README.md. Only `failure` and `stuck` are worth a restart. */

import { EngineError, type ErrorCode } from '../core/errors.ts';

export const exitCodes = {
  /** Done, or drained after SIGTERM. */
  ok: 0,
  /** A fault or bug that a restart may mend. */
  failure: 1,
  /** The configuration or the command line is wrong. */
  config: 2,
  /** A port or the data directory is in use by another process. */
  inUse: 3,
  /** The data directory cannot be used: read-only, full, on a network file system, foreign, of another version. */
  dataDirectory: 4,
  /** Stored data is damaged or does not fit together; nothing was changed. */
  corrupt: 5,
  /** A thread or a state store makes no progress and cannot be ended from inside: the process was killed by itself or its parent. */
  stuck: 6,
} as const;

/** A repeat may mend it. `hasRun`: the data directory served a daemon before, which then died: a disk that is full now will have room again. */
export const isWorthRestart = (code: number, hasRun = false): boolean => code === exitCodes.failure || code === exitCodes.stuck || (hasRun && code === exitCodes.dataDirectory);

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: exitCodes.config,
  DOOR_UNAVAILABLE: exitCodes.config,
  // Of a question that the command line asked.
  QUERY_INVALID: exitCodes.config,
  PORT_IN_USE: exitCodes.inUse,
  DATA_DIR_LOCKED: exitCodes.inUse,
  DATA_DIR_UNUSABLE: exitCodes.dataDirectory,
  DATA_DIR_NETWORK: exitCodes.dataDirectory,
  DATA_DIR_FOREIGN: exitCodes.dataDirectory,
  DATA_VERSION: exitCodes.dataDirectory,
  DISK_FULL: exitCodes.dataDirectory,
  JOURNAL_CORRUPT: exitCodes.corrupt,
  CHECKPOINT_BEYOND_LOG: exitCodes.corrupt,
  CHECKPOINT_BEFORE_LOG: exitCodes.corrupt,
  STATE_CORRUPT: exitCodes.corrupt,
  RULE_RESOURCE_MISSING: exitCodes.corrupt,
  THREAD_STUCK: exitCodes.stuck,
  STATE_STUCK: exitCodes.stuck,
};

export const exitCodeOf = (error: unknown): number => (error instanceof EngineError ? (BY_CODE[error.code] ?? exitCodes.failure) : exitCodes.failure);
