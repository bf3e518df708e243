import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Asker } from '../../../engine/runtime/asker.ts';
import type { MainToActor, Question } from '../../../engine/threads/messages.ts';

type Ask = Extract<MainToActor, { type: 'ask' }>;

let asked: Ask[];
let asker: Asker;
beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  const port = { lane: { first: 0, count: 1 }, post: (message: MainToActor) => void asked.push(message as Ask) };
  asker = new Asker(() => [port, port]);
});
afterEach(() => {
  vi.useRealTimers();
});

const LETTERS: Question = { what: 'letter-outcomes', names: [] };
const TAIL: Question = { what: 'tail', limit: 1, after: null, verdict: null };
const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const answerAll = async (value: (ask: Ask) => unknown): Promise<void> => {
  for (const ask of asked.splice(0)) asker.answered({ type: 'answer', id: ask.id, value: value(ask) });
  await turn();
};
const outcome = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => (error as { code: string }).code);

describe('a question to the actor threads', () => {
  it('is answered by all of them, in their order', async () => {
    const answers = asker.ask(LETTERS);
    await turn();
    const [first] = asked as [Ask];
    await answerAll(({ id }) => (id === first.id ? 'first' : 'second'));
    expect(await answers).toEqual(['first', 'second']);
  });

  it('waits for one of its kind that is under way, so that a thread has one at a time, but for no other kind', async () => {
    const answers = [asker.ask(LETTERS), asker.ask(LETTERS), asker.ask(TAIL)];
    await turn();
    expect(asked.map(({ question }) => question.what).sort()).toEqual(['letter-outcomes', 'letter-outcomes', 'tail', 'tail']);
    await answerAll(() => 1);
    expect(asked.map(({ question }) => question.what)).toEqual(['letter-outcomes', 'letter-outcomes']);
    await answerAll(() => 2);
    expect(await Promise.all(answers)).toEqual([[1, 1], [2, 2], [1, 1]]);
  });

  it('is given up after its time, waiting included, and the next one is asked nevertheless', async () => {
    const answers = [outcome(asker.ask(LETTERS)), outcome(asker.ask(LETTERS))];
    await vi.advanceTimersByTimeAsync(4_000);
    const later = outcome(asker.ask(LETTERS));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await Promise.all(answers)).toEqual(['NOT_READY', 'NOT_READY']);
    asked.splice(0, asked.length - 2);
    await answerAll(() => 'late');
    expect(await later).toEqual(['late', 'late']);
  });

  it('is refused at once when too many of its kind wait', async () => {
    const answers = Array.from({ length: 200 }, () => outcome(asker.ask(LETTERS)));
    expect(await Promise.race(answers)).toBe('NOT_READY');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['NOT_READY']));
    expect(asked.length).toBeLessThanOrEqual(4);
  });
});
