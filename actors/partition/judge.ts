/**
 * The verdict on one record, and all that follows from it at once: counters, fingerprint, cells, dead letter, tail, event time.
 *
 * Order of judgement: poison (decoding may be what kills), malformed at the door, decoding, what the rules refuse, event time, identity and repeats, lateness.
 * A rejected record takes no fingerprint and moves no watermark; a late repeat is a repeat.
 *
 * Hot path: 100 K records a second, at most 3 µs a record, all that it calls included; bench/micro/partition.ts. {@link Judge.fold}. Owned by the partition.
 */

import { DEDUPE_KEY_WORDS } from '../../engine/core/dedupe-key.ts';
import type { LogBatch, RecordCursor } from '../../engine/core/log.ts';
import type { PipelineDefinition } from '../../engine/core/pipeline.ts';
import { emptyConservation, RecordFlag, REJECT_CODES, Verdict, type Conservation, type RejectCode } from '../../engine/core/record.ts';
import type { DedupeMode, Rules } from '../../engine/core/rules.ts';
import type { CellCounter } from './cell-counter.ts';
import type { DeadLetters } from './dead-letters.ts';
import { Match, type DedupeIndex } from './dedupe.ts';
import type { PartitionTime } from './partition-time.ts';
import type { Tail } from './tail.ts';

/** Later event times have no store key. */
const EVENT_TIME_MAX_MS = 2 ** 48 - 1;
const NOT_REJECTED = -1;
const NO_ALARMS: readonly string[] = [];
const KNOWS_TOO_LITTLE: readonly string[] = ['identities are not yet remembered for all of dedupe.horizon_hours, because dedupe was off or the horizon shorter: what counted before and is sent again counts again'];
/** Modes in which records differ by their variants, and one in which they do not. */
const MATCHES: Readonly<Record<Exclude<DedupeMode, 'none'>, Match>> = { 'push-ms': Match.same, 'push+pull-seconds': Match.anyVariant };

export interface JudgeOptions<Event, DomainRules> {
  readonly pipeline: PipelineDefinition<Event, DomainRules>;
  readonly isPoison: (batchSequence: number, index: number) => boolean;
  readonly hourMs: number;
  readonly dayMs: number;
  readonly counter: CellCounter<Event, DomainRules>;
  readonly time: PartitionTime;
  readonly dedupe: DedupeIndex;
  readonly deadLetters: DeadLetters;
  readonly tail: Tail;
  /** A dead letter that was sent again is judged as any record: letters of the log before are not here, and the ids of others may be other ones. */
  readonly areLettersUnknown: boolean;
}

/** What of it a checkpoint holds. The optional ones are missing in older states, and where they say nothing. */
export interface JudgedState {
  readonly conservation: Conservation;
  readonly rejects: readonly number[];
  readonly differingRepeats?: number;
  readonly unknownUpToMs?: number;
}

export class Judge<Event, DomainRules> {
  readonly #options: JudgeOptions<Event, DomainRules>;
  readonly #key = new Uint32Array(DEDUPE_KEY_WORDS);
  /** `received` is the partition's to count, from batch indexes. */
  readonly conservation: Conservation = emptyConservation();
  /** By reject code. */
  readonly rejects: number[] = REJECT_CODES.map(() => 0);
  /** Repeats that their mode took for what they differ from by a variant: of AppsFlyer's, in milliseconds. */
  differingRepeats = 0;
  /** Running time of the last record that counted without being remembered, because dedupe was off; -1 for none. */
  unknownUpToMs = -1;
  /** Fingerprints since the caller last set it to 0. */
  freshFingerprints = 0;
  /** Of the rules in force; the caller's to set before the first record. */
  domainRules: DomainRules | null = null;
  /** Why the retried record that is being judged was rejected. */
  #retryCode: RejectCode | null = null;

  constructor(options: JudgeOptions<Event, DomainRules>) {
    this.#options = options;
  }

  /** `sequence`: the record's own. Event time moves with the record; hours close after it, by the caller. */
  fold(batch: LogBatch, cursor: RecordCursor, rules: Rules, sequence: number): Verdict {
    return cursor.letterId === 0 || this.#options.areLettersUnknown ? this.#judge(batch, cursor, rules, sequence) : this.#again(batch, cursor, rules, sequence);
  }

  #judge(batch: LogBatch, cursor: RecordCursor, rules: Rules, sequence: number): Verdict {
    const { pipeline, isPoison } = this.#options;
    if (isPoison(batch.sequence, cursor.index)) return this.#reject(batch, cursor, 'POISON');
    if (cursor.flags !== RecordFlag.none) {
      if ((cursor.flags & RecordFlag.tooLarge) !== 0) return this.#reject(batch, cursor, 'TOO_LARGE');
      if ((cursor.flags & RecordFlag.malformed) !== 0) return this.#reject(batch, cursor, 'NOT_JSON');
      if ((cursor.flags & RecordFlag.notObject) !== 0) return this.#reject(batch, cursor, 'NOT_OBJECT');
    }
    const decoded = pipeline.decode(batch.bytes, cursor.start, cursor.end, cursor.source, batch.receivedAtMs);
    if (typeof decoded === 'string') return this.#reject(batch, cursor, decoded as RejectCode);
    const event = decoded;
    const refused = pipeline.refuse === undefined ? null : pipeline.refuse(event, this.domainRules as DomainRules);
    if (refused !== null) return this.#reject(batch, cursor, refused);
    const timeMs = pipeline.eventTimeMs(event);
    if (!(timeMs >= 0 && timeMs <= EVENT_TIME_MAX_MS)) return this.#reject(batch, cursor, 'BAD_EVENT_TIME');
    if (timeMs > batch.receivedAtMs + rules.futureSkewMs) return this.#reject(batch, cursor, 'FUTURE_EVENT_TIME');
    if (rules.dedupe !== 'none') {
      if (rules.dedupe === 'push+pull-seconds') pipeline.sightings?.see(event, cursor.source);
      if (this.#options.dedupe.holdsFormer && this.#isFormerRepeat(event, rules)) return this.#repeat(batch, cursor, timeMs);
      if (!pipeline.dedupeKey(event, rules.dedupe, this.#key)) return this.#reject(batch, cursor, 'NO_IDENTITY');
      if (!this.#options.dedupe.admit(this.#key, this.#options.time.runningTimeMs, rules.dedupeHorizonMs, MATCHES[rules.dedupe])) return this.#repeatOf(batch, cursor, timeMs);
      this.freshFingerprints++;
    } else this.unknownUpToMs = this.#options.time.runningTimeMs;
    return this.#count(batch, cursor, event, timeMs, sequence);
  }

  state(): JudgedState {
    const { conservation, rejects, differingRepeats, unknownUpToMs } = this;
    return { conservation, rejects, ...(differingRepeats > 0 && { differingRepeats }), ...(unknownUpToMs >= 0 && { unknownUpToMs }) };
  }

  /** Something counted within the horizon that is not remembered: dedupe was off then, or forgot sooner than it now should. */
  alarms(rules: Rules | null): readonly string[] {
    const knownFromMs = Math.max(this.unknownUpToMs, this.#options.dedupe.knownFromMs);
    if (rules === null || rules.dedupe === 'none' || knownFromMs <= 0) return NO_ALARMS;
    return knownFromMs > this.#options.time.runningTimeMs - rules.dedupeHorizonMs ? KNOWS_TOO_LITTLE : NO_ALARMS;
  }

  restore({ conservation, rejects, differingRepeats, unknownUpToMs }: JudgedState): void {
    Object.assign(this.conservation, conservation);
    this.differingRepeats = differingRepeats ?? 0;
    this.unknownUpToMs = unknownUpToMs ?? -1;
    // Codes are appended over time: an older state has fewer.
    for (let index = 0; index < this.rejects.length; index++) this.rejects[index] = rejects[index] ?? 0;
  }

  #count(batch: LogBatch, cursor: RecordCursor, event: Event, timeMs: number, sequence: number): Verdict {
    const { hourMs, dayMs, time, counter, tail } = this.#options;
    const hourStartMs = timeMs - (timeMs % hourMs);
    const dayStartMs = timeMs - (timeMs % dayMs);
    const isLate = hourStartMs + hourMs <= time.closedUpToMs;
    if (isLate) this.conservation.late++;
    else this.conservation.accepted++;
    // Of days that have expired, late records are in the lake alone.
    const dimensions = dayStartMs + dayMs > time.expiredUpToMs ? counter.count(event, timeMs, hourStartMs, dayStartMs, isLate, sequence) : '';
    const verdict = isLate ? Verdict.late : Verdict.accepted;
    tail.add(batch, cursor.index, verdict, NOT_REJECTED, hourStartMs, dimensions);
    time.see(timeMs, batch.receivedAtMs);
    return verdict;
  }

  /** Of the fingerprints by mode that states of version 1 hold. */
  #isFormerRepeat(event: Event, rules: Rules): boolean {
    const { pipeline, dedupe, time } = this.#options;
    for (let attempt = 0; pipeline.formerFingerprint?.(event, rules.dedupe, attempt, this.#key) === true; attempt++) {
      if (dedupe.knows(this.#key, time.runningTimeMs, rules.dedupeHorizonMs)) return true;
    }
    return false;
  }

  #repeatOf(batch: LogBatch, cursor: RecordCursor, timeMs: number): Verdict {
    if (this.#options.dedupe.differs) this.differingRepeats++;
    return this.#repeat(batch, cursor, timeMs);
  }

  #repeat(batch: LogBatch, cursor: RecordCursor, timeMs: number): Verdict {
    const { hourMs, time } = this.#options;
    time.see(timeMs, batch.receivedAtMs);
    return this.#duplicate(batch, cursor, timeMs - (timeMs % hourMs));
  }

  #duplicate(batch: LogBatch, cursor: RecordCursor, hourStartMs: number): Verdict {
    this.conservation.duplicate++;
    this.#options.tail.add(batch, cursor.index, Verdict.duplicate, NOT_REJECTED, hourStartMs, '');
    return Verdict.duplicate;
  }

  /**
   * A dead letter that was sent again. It is judged once for each attempt, under the rules of now; a second copy of the same attempt, and one whose letter is
   * settled or gone, is a duplicate, whatever the dedupe mode.
   */
  #again(batch: LogBatch, cursor: RecordCursor, rules: Rules, sequence: number): Verdict {
    const { deadLetters } = this.#options;
    const { letterId, attempt } = cursor;
    if (!deadLetters.claim(letterId, attempt)) return this.#duplicate(batch, cursor, 0);
    this.#retryCode = null;
    const verdict = this.#judge(batch, cursor, rules, sequence);
    deadLetters.settle(letterId, { verdict, code: this.#retryCode, atMs: batch.receivedAtMs });
    return verdict;
  }

  #reject(batch: LogBatch, cursor: RecordCursor, code: RejectCode): Verdict {
    const { deadLetters, tail } = this.#options;
    const index = REJECT_CODES.indexOf(code);
    this.conservation.rejected++;
    (this.rejects[index] as number)++;
    // A retried one is in its letter already.
    if (cursor.letterId !== 0) this.#retryCode = code;
    else deadLetters.add({ code, receivedAtMs: batch.receivedAtMs, source: cursor.source, batchSequence: batch.sequence, index: cursor.index }, batch.bytes, cursor.start, cursor.end);
    tail.add(batch, cursor.index, Verdict.rejected, index, 0, '');
    return Verdict.rejected;
  }
}
