/**
 * Credentials that a directory vouches for, with what it said kept for a while: a sender that is known costs a digest, not a question.
 *
 * Guarantees: nothing is kept but digests under a key drawn at the start; as many answers as set, the oldest go first, and those of refused credentials
 * cannot push out the others; as many questions at once as set, a bounded number wait, and requests of one credential share one. A credential that
 * counts is asked about again once half of its time is over, before all that wait: whoever floods the door with wrong ones does not delay it.
 * Owned by the ingress thread.
 */

import { hash, randomBytes } from 'node:crypto';
import type { Clock } from '../../engine/core/clock.ts';
import { messageOf } from '../../engine/core/errors.ts';
import type { IngressLog } from '../log.ts';
import type { LdapOptions } from './options.ts';

/** The user that may send; or the directory refuses it, or gave no answer. */
export type DirectoryAnswer = { readonly user: string } | 'refused' | 'unavailable';
type Waiter = (answer: DirectoryAnswer) => void;

interface Known {
  readonly user: string;
  readonly askAgainMs: number;
  readonly untilMs: number;
}

interface Question {
  readonly digest: string;
  readonly user: string;
  readonly password: string;
  readonly waiters: Waiter[];
}

/** Questions that wait for their turn. Chosen: what a slow directory answers within the timeout, and more. */
const QUESTIONS_MAX = 256;
const CREDENTIAL_CHARACTERS_MAX = 2_016;
const FAILURE_LOG_INTERVAL_MS = 10_000;
/** Names that need no escaping in a DN or a filter: nobody can write a DN of their own. */
const USER_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
/** In base64, its URL form too, with or without padding: AppsFlyer sends no other characters. */
const ENCODED = /^(?:basic|bearer) +([A-Za-z0-9+/_-]{4,2000})={0,2}$/i;

export interface DirectoryParts {
  readonly options: LdapOptions;
  readonly clock: Clock;
  readonly log: IngressLog;
  /** Rejects where there is no answer. */
  readonly isMember: (user: string, password: string) => Promise<boolean>;
}

export class Directory {
  readonly #parts: DirectoryParts;
  readonly #key = randomBytes(32).toString('hex');
  readonly #members = new Map<string, Known>();
  /** Until when. */
  readonly #refused = new Map<string, number>();
  readonly #asked = new Map<string, Question>();
  readonly #queue: Question[] = [];
  #running = 0;
  #failureLoggedMs = -Infinity;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
  }

  /** What is known of a header's value: `'unknown'` when the directory must be asked. */
  known(value: string): DirectoryAnswer | 'unknown' {
    if (value === '' || value.length > CREDENTIAL_CHARACTERS_MAX) return 'refused';
    const digest = this.#digest(value);
    const nowMs = this.#parts.clock.monotonicMs();
    const member = this.#members.get(digest);
    if (member !== undefined && nowMs < member.untilMs) {
      if (nowMs >= member.askAgainMs && !this.#asked.has(digest)) this.#refresh(digest, value);
      return member;
    }
    const refusedUntilMs = this.#refused.get(digest);
    if (refusedUntilMs !== undefined && nowMs < refusedUntilMs) return 'refused';
    return readCredential(value) === null ? 'refused' : 'unknown';
  }

  /** Asks, or joins those that have asked. `waiter` is called once, never before this returns. False when too many wait: nobody was asked. */
  ask(value: string, waiter: Waiter): boolean {
    const digest = this.#digest(value);
    const asked = this.#asked.get(digest);
    if (asked !== undefined) {
      asked.waiters.push(waiter);
      return true;
    }
    const credential = readCredential(value);
    if (credential === null || this.#queue.length >= QUESTIONS_MAX) return false;
    this.#enqueue({ digest, ...credential, waiters: [waiter] }, false);
    return true;
  }

  #refresh(digest: string, value: string): void {
    const credential = readCredential(value);
    if (credential !== null) this.#enqueue({ digest, ...credential, waiters: [] }, true);
  }

  #enqueue(question: Question, first: boolean): void {
    this.#asked.set(question.digest, question);
    if (first) this.#queue.unshift(question);
    else this.#queue.push(question);
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#parts.options.connections_max) {
      const question = this.#queue.shift();
      if (question === undefined) return;
      this.#running++;
      void this.#put(question);
    }
  }

  async #put(question: Question): Promise<void> {
    let answer: DirectoryAnswer;
    try {
      answer = (await this.#parts.isMember(question.user, question.password)) ? { user: question.user } : 'refused';
    } catch (error) {
      answer = 'unavailable';
      this.#logFailure(error);
    }
    this.#running--;
    this.#asked.delete(question.digest);
    this.#remember(question.digest, answer);
    for (const waiter of question.waiters) waiter(answer);
    this.#next();
  }

  /** No answer changes nothing: who counts goes on counting until the time is over. */
  #remember(digest: string, answer: DirectoryAnswer): void {
    if (answer === 'unavailable') return;
    const { cache_seconds: seconds, refused_cache_seconds: refusedSeconds, cache_max: countMax } = this.#parts.options;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#members.delete(digest);
    this.#refused.delete(digest);
    if (answer === 'refused') this.#refused.set(digest, nowMs + refusedSeconds * 1_000);
    else this.#members.set(digest, { user: answer.user, askAgainMs: nowMs + seconds * 500, untilMs: nowMs + seconds * 1_000 });
    dropOldest(this.#members, countMax);
    dropOldest(this.#refused, countMax);
  }

  #logFailure(error: unknown): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#failureLoggedMs < FAILURE_LOG_INTERVAL_MS) return;
    this.#failureLoggedMs = nowMs;
    this.#parts.log.error({ url: this.#parts.options.url, error: messageOf(error) }, 'the directory of senders does not answer: those that are not known get 503');
  }

  #digest(value: string): string {
    return hash('sha256', this.#key + value, 'base64');
  }
}

function dropOldest(map: Map<string, unknown>, countMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= countMax) return;
    map.delete(key);
  }
}

/** Null for what no directory needs to be asked about. */
function readCredential(value: string): { readonly user: string; readonly password: string } | null {
  const encoded = ENCODED.exec(value.trim())?.[1];
  if (encoded === undefined) return null;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const user = pair.slice(0, Math.max(0, colon));
  const password = pair.slice(colon + 1);
  return USER_NAME.test(user) && password !== '' && !password.includes('\0') ? { user, password } : null;
}
