/**
 * The one error class for faults of the world outside, and the table of all its codes.
 *
 * Bugs are assertions and bad events are values (see reject codes in record.ts): neither belongs here.
 */

export type ErrorDomain = 'config' | 'input' | 'external' | 'internal';

/** Every code an {@link EngineError} can carry: its domain, whether a repeat may help, and what it means. */
export const ERROR_CODES = {
  CONFIG_INVALID: { domain: 'config', retryable: false, meaning: 'a setting is unknown or has a value that cannot be used' },
  PORT_IN_USE: { domain: 'config', retryable: false, meaning: 'another process listens on the port' },
  DOOR_UNAVAILABLE: { domain: 'config', retryable: false, meaning: 'the HTTP door that was asked for cannot be loaded' },
  DATA_DIR_LOCKED: { domain: 'config', retryable: false, meaning: 'another daemon uses the data directory' },
  DATA_DIR_UNUSABLE: { domain: 'config', retryable: false, meaning: 'the data directory cannot be created, read or written' },
  DATA_DIR_NETWORK: { domain: 'config', retryable: false, meaning: 'the data directory lies on a network file system' },
  DATA_DIR_FOREIGN: { domain: 'config', retryable: false, meaning: 'files of another data directory, or a hand-made copy, were found' },
  DATA_VERSION: { domain: 'config', retryable: false, meaning: 'a stored format is newer than this program' },
  DISK_FULL: { domain: 'external', retryable: true, meaning: 'no space is left where the daemon must write' },
  JOURNAL_WRITE_FAILED: { domain: 'external', retryable: true, meaning: 'a batch could not be made durable; its senders must resend' },
  JOURNAL_DISK_FAILED: { domain: 'external', retryable: true, meaning: 'the disk failed while the journal was read or opened; nothing was cut' },
  JOURNAL_CORRUPT: { domain: 'external', retryable: false, meaning: 'damage lies before the highest durable offset' },
  CHECKPOINT_BEYOND_LOG: { domain: 'external', retryable: false, meaning: 'a checkpoint covers an offset that the journal does not have' },
  CHECKPOINT_BEFORE_LOG: { domain: 'external', retryable: false, meaning: 'the journal no longer holds what a checkpoint needs next' },
  OUT_OF_RESOURCES: { domain: 'external', retryable: true, meaning: 'the system has no file descriptor or memory left for one more' },
  STATE_WRITE_FAILED: { domain: 'external', retryable: true, meaning: 'a state store refused a transaction' },
  STATE_STUCK: { domain: 'external', retryable: false, meaning: 'a state store takes no transaction any more until the process is started again' },
  STATE_CORRUPT: { domain: 'external', retryable: false, meaning: 'a stored value cannot be read back' },
  RULE_RESOURCE_MISSING: { domain: 'external', retryable: false, meaning: 'a GeoIP file or a secret that journaled rules name is not there' },
  THREAD_DIED: { domain: 'internal', retryable: true, meaning: 'a worker thread ended without being asked to' },
  THREAD_STUCK: { domain: 'internal', retryable: true, meaning: 'a worker thread makes no progress and cannot be ended' },
  SINK_UNAVAILABLE: { domain: 'external', retryable: true, meaning: 'a sink does not answer' },
  SINK_REFUSED: { domain: 'external', retryable: true, meaning: 'a sink answered with an error' },
  SINK_STALE: { domain: 'external', retryable: false, meaning: 'a sink holds results of a newer generation: this daemon is the stale writer' },
  QUERY_INVALID: { domain: 'input', retryable: false, meaning: 'a query parameter is unknown or has a value that cannot be used' },
  DOOR_CLOSED: { domain: 'external', retryable: true, meaning: 'the ingress takes no records now: it is starting, shutting down, out of disk or busy' },
  CONNECT_FAILED: { domain: 'external', retryable: false, meaning: 'the configuration of a sender could not be read, checked or changed' },
  COSTS_REFUSED: { domain: 'input', retryable: false, meaning: 'a report of spend cannot be taken; nothing of it was kept' },
  NOT_READY: { domain: 'internal', retryable: true, meaning: 'recovery has not finished' },
} as const satisfies Record<string, { domain: ErrorDomain; retryable: boolean; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorContext {
  /** Milliseconds after which a repeat may help. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  /** Where it happened: sink, partition, offset, file, key. */
  readonly where?: Readonly<Record<string, string | number>>;
  /** What the reader can do about it. */
  readonly fix?: string;
}

/** A plain copy of an {@link EngineError} that survives a thread message. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly where?: Readonly<Record<string, string | number>>;
  readonly fix?: string;
}

/** An answer to what a number asked, or why there is none. */
export type Answered<Value> = Value | { readonly error: ErrorRecord };

/** A fault of the world. `message` says what failed, `where` at what, `fix` what to do. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: ErrorCode;
  readonly where: Readonly<Record<string, string | number>>;
  readonly fix: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.where = context.where ?? {};
    this.fix = context.fix;
    this.retryAfterMs = context.retryAfterMs;
  }

  get domain(): ErrorDomain {
    return ERROR_CODES[this.code].domain;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  toRecord(): ErrorRecord {
    return { code: this.code, message: this.message, where: this.where, ...(this.fix === undefined ? {} : { fix: this.fix }) };
  }

  /** Of anything thrown: what is no EngineError is told under `otherwise`. */
  static recordOf(thrown: unknown, otherwise: ErrorCode): ErrorRecord {
    return (thrown instanceof EngineError ? thrown : new EngineError(otherwise, messageOf(thrown))).toRecord();
  }

  static fromRecord(record: ErrorRecord): EngineError {
    return new EngineError(record.code, record.message, {
      ...(record.where === undefined ? {} : { where: record.where }),
      ...(record.fix === undefined ? {} : { fix: record.fix }),
    });
  }
}

/** The text of anything thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
