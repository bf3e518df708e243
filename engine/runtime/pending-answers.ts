/** Questions that a thread was sent and has not answered, by number. Bounded by who asks. Runs on the main thread. */

import { EngineError, type Answered, type ErrorRecord } from '../core/errors.ts';

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: EngineError) => void;
}

export class PendingAnswers<Answer> {
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #next = 1;

  get count(): number {
    return this.#waiting.size;
  }

  /** `send` posts the question under its number. */
  ask(send: (id: number) => void): Promise<Answer> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  answer(id: number, answer: Answer): void {
    this.#waiting.get(id)?.resolve(answer);
    this.#waiting.delete(id);
  }

  fail(id: number, error: ErrorRecord): void {
    this.#waiting.get(id)?.reject(EngineError.fromRecord(error));
    this.#waiting.delete(id);
  }

  /** Either of the two, as the message says. */
  settle({ id, answer }: { readonly id: number; readonly answer: Answered<Answer> }): void {
    if (isError(answer)) this.fail(id, answer.error);
    else this.answer(id, answer);
  }

  /** The thread is gone: nobody is answered any more. */
  failAll(error: EngineError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

const isError = (answer: unknown): answer is { readonly error: ErrorRecord } => typeof answer === 'object' && answer !== null && 'error' in answer;
