/** Results folded again under other rules: what may be compared, and how it is put into use. */

import type { Guard } from './guard.ts';

export const SHADOWS: readonly Guard[] = [
  {
    section: 'fold',
    rule: 'a shadow folds every record under its own rules',
    file: 'actors/partition/partition.ts',
    find: 'if (this.#options.areRulesFixed === true) break;',
    replace: '',
    test: { file: 'unit/partition/restate.test.ts', name: 'counts what comes from there on as the one that saw everything does, under its own rules' },
  },
  {
    section: 'fold',
    rule: 'an hour of which the journal has a part is not compared',
    file: 'engine/core/replay-span.ts',
    find: 'Math.ceil(Math.max(...starts) / MS_PER_HOUR)',
    replace: 'Math.floor(Math.max(...starts) / MS_PER_HOUR)',
    test: { file: 'unit/core/replay-span.test.ts', name: 'an hour is complete that begins at the first batch that is left and the skew, or later' },
  },
  {
    section: 'results',
    rule: 'a promotion that was decided is carried out by whoever comes next, and whole',
    file: 'engine/runtime/promotion.ts',
    find: 'if (!existsSync(next)) continue;',
    replace: 'if (!existsSync(next)) break;',
    test: { file: 'unit/runtime/promotion.test.ts', name: 'of its steps is finished by whoever comes next' },
  },
  {
    section: 'results',
    rule: 'a promotion adds to the shares of partitions, under a higher revision',
    file: 'actors/partition/restate.ts',
    find: 'const sequence = state.sequence + 1;',
    replace: 'const sequence = state.sequence;',
    test: { file: 'unit/partition/restate.test.ts', name: 'is added to the shares it has, makes those it has not, and is reported under one higher sequence number' },
  },
  {
    section: 'results',
    rule: 'rules that would take other records are not promoted',
    file: 'engine/promotable-rules.ts',
    find: 'names].filter((name) => !without.has(name) &&',
    replace: "names].filter((name) => !without.has(name) && !name.startsWith('dedupe') &&",
    test: { file: 'unit/pipeline-file.test.ts', name: 'cannot change which records are taken' },
  },
];
