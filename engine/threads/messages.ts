/**
 * Every message between the main thread and its workers, as closed unions. Errors travel as plain records: a thread
 * message would lose their class and code.
 */

import type { CellName } from '../core/cell.ts';
import type { KeptLetter, LetterRetry, LetterState } from '../core/dead-letter.ts';
import type { Answered, ErrorRecord } from '../core/errors.ts';
import type { ErasureProgress } from '../core/erasure.ts';
import type { SlotId, SlotShare } from '../core/lake-slot.ts';
import type { AppendedRecords } from '../core/own-records.ts';
import type { SightingCounts } from '../core/pipeline.ts';
import type { RecordSource, RejectCode } from '../core/record.ts';
import type { Fault } from './fault.ts';

/** What an actor thread is started with. `settings` is the wiring's own, plain data. */
export interface ActorStart<Settings> {
  readonly role: 'actor';
  readonly thread: number;
  readonly words: SharedArrayBuffer;
  readonly lane: { readonly first: number; readonly count: number };
  readonly settings: Settings;
  /** `[batch sequence, index]` of records that may not be folded again. */
  readonly poison: readonly (readonly [number, number])[];
}

export interface IngressStart<Settings> {
  readonly role: 'ingress';
  /** Its number, and its journal's. The first one also keeps the journals that have no thread any more. */
  readonly thread: number;
  readonly threads: number;
  readonly words: SharedArrayBuffer;
  /** By journal: highest offset known to be durable from elsewhere: checkpoints, or the shared word of a thread that died. */
  readonly provenOffsets: readonly number[];
  readonly settings: Settings;
}

/** How an ingress thread is to begin, once the journals of all are open. */
export interface IngressBegin {
  /** Control records to journal before the door opens; the first thread alone has any. */
  readonly controls: readonly Uint8Array[];
  /** Where the thread before this one, or the first one, listened; 0 for nowhere yet. */
  readonly port: number;
  /** A door of this process listens there, or did a moment ago. */
  readonly joins: boolean;
}

export interface SettledPartition {
  readonly partition: number;
  readonly sequence: number;
}

export interface TailEntry {
  readonly partition: number;
  readonly journal: number;
  readonly batchOffset: number;
  readonly batchSequence: number;
  readonly index: number;
  readonly receivedAtMs: number;
  readonly verdict: number;
  readonly rejectCode: number;
  readonly windowStartMs: number;
  readonly dimensions: string;
}

/** Where a record stands in the log, for good. */
export interface RecordPlace {
  readonly batchSequence: number;
  readonly index: number;
}

/** The thread's last records that were asked for, and the place of the very last one of each partition that has any. */
export interface TailAnswer {
  readonly entries: readonly TailEntry[];
  readonly heads: readonly (RecordPlace & { readonly partition: number })[];
}

/** A dead letter as it is shown among others: the beginning of its bytes, or all. `size` is the record's own, `keptBytes` what there is of it. */
export interface ShownLetter extends KeptLetter {
  readonly partition: number;
  readonly keptBytes: number;
  /** Of all that is kept. */
  readonly isUtf8: boolean;
  /** Value of the key that `scopeKey` asks for, as far as it can be found without parsing; null where it cannot. */
  readonly scope: string | null;
}

/** Which letters are meant. Lists name what is let through; null for all. */
export interface LetterFilter {
  readonly partition: number | null;
  readonly codes: readonly RejectCode[] | null;
  readonly sources: readonly number[] | null;
  readonly states: readonly LetterState[] | null;
  readonly scope: string | null;
  /** When they were received: from inclusive, to exclusive. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface LettersQuestion {
  readonly what: 'dead-letters';
  readonly limit: number;
  /** Only those before this place; null for all. */
  readonly before: RecordPlace | null;
  readonly filter: LetterFilter;
  /** The key of a record that says whose it is. */
  readonly scopeKey: string;
  /** Of the bytes of each. */
  readonly shownBytesMax: number;
  /** The answer ends once letters of so many bytes were read. */
  readonly bytesMax: number;
}

/** Newest first. */
export interface LetterPage {
  readonly letters: readonly ShownLetter[];
  /** Whatever is older was not looked at; null where nothing is left. */
  readonly lookedTo: RecordPlace | null;
}

export interface LetterName {
  readonly partition: number;
  readonly id: number;
}

/** Of a letter that is there. */
export interface LetterOutcome extends LetterName {
  readonly retry: LetterRetry | null;
}

/** One dead letter with all that is kept of it; `size` is the record's own. */
export interface WholeLetter {
  readonly size: number;
  readonly bytes: Uint8Array;
}

export interface ErasureAnswer {
  readonly partition: number;
  readonly erasures: readonly ErasureProgress[];
}

/** What the admin port asks of the actor threads. */
export type Question =
  /**
   * Answer: `TailAnswer`. The newest `limit` records, newest first; with a place by partition to come `after`, the first `limit` of those
   * that follow, oldest first. Of one verdict only, or of all (null).
   */
  | { readonly what: 'tail'; readonly limit: number; readonly after: readonly (RecordPlace | null)[] | null; readonly verdict: number | null }
  /** Answer: `{ partition, hash }[]`. */
  | { readonly what: 'state-hash' }
  /** Answer: `LetterPage`, the newest of the thread. */
  | LettersQuestion
  /** Answer: `ShownLetter[]`, those of the names that the thread has, whole. */
  | { readonly what: 'letters-named'; readonly names: readonly LetterName[]; readonly scopeKey: string }
  /** Answer: `LetterOutcome[]`, of those of the names that the thread has. */
  | { readonly what: 'letter-outcomes'; readonly names: readonly LetterName[] }
  /** Answer: `WholeLetter`, or null where the thread has none. */
  | { readonly what: 'dead-letter'; readonly partition: number; readonly id: number }
  /** Answer: `ErasureAnswer[]`, once what the partitions owe the lake because of them is on its way; none of a thread that has not recovered. */
  | { readonly what: 'erasures' }
  /** Answer: how many state files were copied into the directory. */
  | { readonly what: 'savepoint'; readonly directory: string };

export interface PartitionStats {
  readonly partition: number;
  readonly [figure: string]: number | string | readonly string[] | Readonly<Record<string, number>>;
}

/** What a thread as a whole tells of itself. */
export interface ThreadFigures {
  readonly heapBytes: number;
  /** Of the records that its partitions folded. */
  readonly sightings: SightingCounts;
}

export type MainToActor =
  /** The journals are open and live store has these settled: replay to `durable`, by journal, then report all and say complete. */
  | { readonly type: 'go'; readonly durable: readonly number[]; readonly settled: readonly SettledPartition[]; readonly finalUpToMs: number }
  /**
   * The last report is merged and stored; the next may be sent. `answersOnly`: even if there is nothing to answer, and without changes, for which
   * there is no room. `urgent`: without the rest that a thread takes between two, because nobody is served before.
   */
  | { readonly type: 'credit'; readonly answersOnly: boolean; readonly urgent: boolean }
  | { readonly type: 'settled'; readonly settled: readonly SettledPartition[]; readonly finalUpToMs: number }
  | { readonly type: 'request'; readonly requestId: number; readonly names: readonly CellName[] }
  | { readonly type: 'spooled'; readonly slot: SlotId }
  /** A question for the live page or the command line; answered once, with the same id. */
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  /** Fault tests only: raise or hang inside the thread, as a bug does. */
  | { readonly type: 'fault'; readonly how: Fault };

export type ActorToMain =
  | { readonly type: 'restored'; readonly partitions: readonly { readonly partition: number; readonly offsets: readonly number[]; readonly sequence: number }[] }
  | {
      readonly type: 'report';
      /** `packMessage(PartitionReport[])`. */
      readonly reports: Uint8Array;
      readonly answered: readonly number[];
      /** Set on the last report of what a recovery has to tell. */
      readonly complete: boolean;
      /** The next one goes on with what this one began to tell. */
      readonly more: boolean;
      /** `receivedAt` of the oldest record that the report may be the first to show; 0 when there is none. */
      readonly oldestReceivedAtMs: number;
    }
  /** `offsets` and `needed` are by journal. */
  | { readonly type: 'flushed'; readonly partition: number; readonly offsets: readonly number[]; readonly needed: readonly number[] }
  | { readonly type: 'shares'; readonly shares: readonly SlotShare[] }
  | ({ readonly type: 'stats'; readonly partitions: readonly PartitionStats[]; readonly offset: number; readonly batches: number; readonly busyMs: number; readonly checkpoints: number; readonly checkpointFailures: number } & ThreadFigures)
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown; readonly error?: ErrorRecord }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: ErrorRecord };

/** A report of spend as it came in at the door; `body` is transferred. */
export interface CostsSent {
  readonly body: Uint8Array;
  readonly format: 'json' | 'lines' | 'csv';
  readonly query: string;
}

/** The whole HTTP answer to it; `retryAfterSeconds` 0 for none. */
export interface CostsAnswered {
  readonly status: 200 | 400 | 413 | 503;
  readonly code: string;
  readonly body: string;
  readonly retryAfterSeconds: number;
}

export type MainToIngress =
  | ({ readonly type: 'begin' } & IngressBegin)
  | { readonly type: 'control'; readonly id: number; readonly bytes: Uint8Array }
  /** Records of the daemon's own, bounded as core/own-records.ts says; answered with `appended`. */
  | { readonly type: 'append-records'; readonly id: number; readonly source: RecordSource; readonly records: readonly Uint8Array[] }
  /** Tokens and certificate are to be read again. */
  | { readonly type: 'read-again' }
  | { readonly type: 'costs-answered'; readonly id: number; readonly answer: CostsAnswered }
  | { readonly type: 'drain'; readonly deadlineMs: number }
  /** Fault tests only: raise or hang inside the thread. Terminating a thread with open uWebSockets.js handles aborts the whole process. */
  | { readonly type: 'fault'; readonly how: Fault };

export type IngressToMain<Stats, Recovery> =
  /** Its journals are open, and nothing is written. */
  | { readonly type: 'opened'; readonly recoveries: readonly Recovery[] }
  /** What came with `begin` is durable; the door is next. */
  | { readonly type: 'begun' }
  | { readonly type: 'listening'; readonly door: string; readonly fallbackReason: string | null; readonly port: number; readonly host: string }
  | { readonly type: 'stats'; readonly stats: Stats }
  | { readonly type: 'controlled'; readonly id: number; readonly error?: ErrorRecord }
  /** They are durable, or `error` says why not all of them are. */
  | { readonly type: 'appended'; readonly id: number; readonly answer: Answered<AppendedRecords> }
  /** A line for the daemon's log. */
  | { readonly type: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly fields: Readonly<Record<string, unknown>>; readonly text: string }
  /** Answered once, with the same id. */
  | { readonly type: 'costs'; readonly id: number; readonly report: CostsSent }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: ErrorRecord };
