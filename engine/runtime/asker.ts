/** Questions from the main thread to the actor threads, answered once each or timed out: a dead thread must not hang a page. */

import { EngineError } from '../core/errors.ts';
import type { ActorToMain, MainToActor } from '../threads/messages.ts';
import type { ActorPort } from './egress.ts';

type Ask = Extract<MainToActor, { type: 'ask' }>;
type Answer = Extract<ActorToMain, { type: 'answer' }>;

const PENDING_MAX = 1_000;

export class Asker {
  readonly #actors: () => readonly ActorPort[];
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: EngineError) => void; timer: NodeJS.Timeout }>();
  #nextId = 1;

  constructor(actors: () => readonly ActorPort[]) {
    this.#actors = actors;
  }

  /** One answer per thread, in thread order. Rejects NOT_READY after `timeoutMs`, or what the thread raised. */
  async ask<Value>(question: { readonly what: Ask['what']; readonly limit?: number; readonly directory?: string; readonly timeoutMs?: number }): Promise<Value[]> {
    if (this.#pending.size >= PENDING_MAX) throw new EngineError('NOT_READY', 'too many questions are waiting for the actor threads');
    return Promise.all(this.#actors().map((actor) => this.#askOne<Value>(actor, question)));
  }

  answered(message: Answer): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    clearTimeout(pending.timer);
    if (message.error === undefined) pending.resolve(message.value);
    else pending.reject(EngineError.fromRecord(message.error));
  }

  #askOne<Value>(actor: ActorPort, question: { readonly what: Ask['what']; readonly limit?: number; readonly directory?: string; readonly timeoutMs?: number }): Promise<Value> {
    const id = this.#nextId++;
    return new Promise<Value>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new EngineError('NOT_READY', `an actor thread did not answer '${question.what}' in time: it may be recovering`));
      }, question.timeoutMs ?? 5_000);
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      actor.post({ type: 'ask', id, what: question.what, limit: question.limit ?? 0, directory: question.directory ?? '' });
    });
  }
}
