/**
 * Questions from the main thread to the actor threads, answered once each or timed out: a dead thread must not hang a page. Those of one
 * kind follow each other, so that no number of clients makes a thread answer instead of folding.
 */

import { systemClock, systemSchedule, type Clock, type Schedule } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { ActorToMain, Question } from '../threads/messages.ts';
import type { ActorPort } from './egress.ts';

type Answer = Extract<ActorToMain, { type: 'answer' }>;

/** Of one kind, the one that is being answered included. */
const WAITING_MAX = 64;
const ANSWER_MS_MAX = 5_000;

/** By default the machine's; a simulator passes its own. */
export interface AskerWorld {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly schedule: Schedule;
}

/** Questions of one kind; `end` settles well with the last of them. */
interface Line {
  length: number;
  end: Promise<void>;
}

export class Asker {
  readonly #actors: () => readonly ActorPort[];
  readonly #world: AskerWorld;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: EngineError) => void; cancel: () => void }>();
  readonly #lines = new Map<Question['what'], Line>();
  #nextId = 1;

  constructor(actors: () => readonly ActorPort[], world: AskerWorld = { clock: systemClock, schedule: systemSchedule }) {
    this.#actors = actors;
    this.#world = world;
  }

  /** One answer per thread, in thread order. Rejects NOT_READY after `timeoutMs`, waiting included, or what the thread raised. */
  async ask<Value>(question: Question, timeoutMs = ANSWER_MS_MAX): Promise<Value[]> {
    const { clock } = this.#world;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const line = this.#lineOf(question);
    if (line.length >= WAITING_MAX) throw new EngineError('NOT_READY', `${WAITING_MAX} questions for '${question.what}' are waiting for the actor threads`);
    line.length++;
    const answers = line.end.then(() => Promise.all(this.#actors().map((actor) => this.#askOne<Value>(actor, question, deadlineMs - clock.monotonicMs()))));
    const leave = (): void => {
      line.length--;
    };
    line.end = answers.then(leave, leave);
    return answers;
  }

  answered(message: Answer): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    pending.cancel();
    if (message.error === undefined) pending.resolve(message.value);
    else pending.reject(EngineError.fromRecord(message.error));
  }

  #lineOf({ what }: Question): Line {
    const line = this.#lines.get(what) ?? { length: 0, end: Promise.resolve() };
    this.#lines.set(what, line);
    return line;
  }

  #askOne<Value>(actor: ActorPort, question: Question, timeoutMs: number): Promise<Value> {
    const late = (): EngineError => new EngineError('NOT_READY', `an actor thread did not answer '${question.what}' in time: it may be recovering`);
    if (timeoutMs <= 0) return Promise.reject(late());
    const id = this.#nextId++;
    return new Promise<Value>((resolve, reject) => {
      const cancel = this.#world.schedule(timeoutMs, () => {
        this.#pending.delete(id);
        reject(late());
      });
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, cancel });
      actor.post({ type: 'ask', id, question });
    });
  }
}
