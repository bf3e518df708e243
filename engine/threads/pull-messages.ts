/** Messages between the main thread and the one of the Pull poller, as closed unions. */

import type { Answered, ErrorRecord } from '../core/errors.ts';
import type { AppendedRecords } from '../core/own-records.ts';

export type MainToPull<Request> =
  | { readonly type: 'appended'; readonly id: number; readonly answer: Answered<AppendedRecords> }
  | { readonly type: 'known'; readonly id: number; readonly answer: Answered<{ readonly known: Uint8Array | null }> }
  /** Answered with `begun`. */
  | { readonly type: 'backfill'; readonly id: number; readonly request: Request }
  | { readonly type: 'stop' };

export type PullToMain<Figures, Question> =
  /** Records one behind the other; `ends` of each. */
  | { readonly type: 'append'; readonly id: number; readonly bytes: Uint8Array; readonly ends: Uint32Array }
  | { readonly type: 'known'; readonly id: number; readonly question: Question }
  | { readonly type: 'begun'; readonly id: number; readonly answer: Answered<{ readonly keys: readonly string[] }> }
  | { readonly type: 'figures'; readonly figures: Figures }
  | { readonly type: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly facts: Readonly<Record<string, string | number | null>>; readonly text: string }
  /** What it was started with makes no poller; only the user can mend that. */
  | { readonly type: 'failed'; readonly error: ErrorRecord };
