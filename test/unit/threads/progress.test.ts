import { describe, expect, it } from 'vitest';
import { STAGE_NAMES, Stage } from '../../../engine/threads/progress.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';

describe('the progress words of a thread', () => {
  it('are seen by every holder of the buffer, and belong to one thread each', () => {
    const main = SharedWords.create(3);
    const thread = new SharedWords(main.buffer);
    thread.progress(1).enter(Stage.folding);
    thread.progress(1).beat();
    expect([0, 1, 2].map((index) => main.progress(index).beats)).toEqual([0, 2, 0]);
    expect(main.progress(1).stage).toBe('folding');
    main.progress(2).askToLeave();
    expect([0, 1, 2].map((index) => thread.progress(index).isAskedToLeave)).toEqual([false, false, true]);
  });

  it('lie behind the records being folded, whatever the number of threads', () => {
    for (const threads of [1, 2, 7]) {
      const words = SharedWords.create(threads);
      for (let thread = 0; thread < threads; thread++) words.current(thread).set([1, 2, 1]);
      for (let thread = 0; thread < threads; thread++) expect(words.progress(thread).beats).toBe(0);
      for (let thread = 0; thread < threads; thread++) words.progress(thread).enter(Stage.idle);
      for (let thread = 0; thread < threads; thread++) expect([...words.current(thread)]).toEqual([1, 2, 1]);
    }
  });

  it('have a name for every stage', () => {
    expect(STAGE_NAMES.map((name) => Stage[name as keyof typeof Stage])).toEqual(STAGE_NAMES.map((_, stage) => stage));
  });
});
