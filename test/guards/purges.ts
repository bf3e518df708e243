/** Days of an app that are purged: what goes, what must not, and what nobody shows. */

import type { Guard } from './guard.ts';

export const PURGES: readonly Guard[] = [
  {
    section: 'fold',
    rule: 'a purge that is journaled again means nothing more',
    file: 'actors/partition/partition.ts',
    find: 'if (isPurge(record.erasure) && this.#erasures.has(record.erasure.id)) break;',
    replace: '',
    test: { file: 'unit/partition/erasures.test.ts', name: 'of days takes the letters of the app that were received in them, once, however often it is journaled' },
  },
  {
    section: 'fold',
    rule: 'a purge means the app and days that it names, and no record that names no app',
    file: 'engine/core/purged-days.ts',
    find: 'scope === purge.scope && ',
    replace: '(scope === null || scope === purge.scope) && ',
    test: { file: 'unit/core/purged-days.test.ts', name: 'is never a record that names no app, or has no time' },
  },
  {
    section: 'results',
    rule: 'a purge is journaled before the door opens',
    file: 'engine/erase-desk.ts',
    find: 'return this.#state.open.filter(({ erasure, isJournaled }) => isPurge(erasure) && !isJournaled)',
    replace: 'return this.#state.open.filter(({ erasure, isJournaled }) => isPurge(erasure) && isJournaled)',
    test: { file: 'integration/lake/erase-desk.test.ts', name: 'of days takes their rows of the app, whoever they are of, reads no file of other days, and is no matter to users who are erased' },
  },
  {
    section: 'results',
    rule: 'a lake slot that is encoded after a purge has no rows of it',
    file: 'sinks/lake/encode-slot.ts',
    find: 'if (isPurged?.(event, firstSequence + index) === true) {',
    replace: 'if (isPurged?.(event, 0) === true) {',
    test: { file: 'unit/lake/encode-slot.test.ts', name: 'leaves out rows of purged days of their app up to the record that a purge means' },
  },
  {
    section: 'results',
    rule: 'queries show no cell without records, and sinks hear of it',
    file: 'sinks/live/order.ts',
    find: 'const shown = shownCells(page);',
    replace: 'const shown = page;',
    test: { file: 'unit/live/live-store.test.ts', name: 'shows nobody a cell without records, tells sinks of it, and shows it again once it has some' },
  },
  {
    section: 'results',
    rule: 'a Redis value shows no cell without records',
    file: 'sinks/redis/encode.ts',
    find: 'const [cells, lateCells] = [shownCells(input.cells), shownCells(input.lateCells ?? [])];',
    replace: 'const [cells, lateCells] = [input.cells, input.lateCells ?? []];',
    test: { file: 'unit/redis/encode.test.ts', name: 'shows no cell without records, not in its revision either, and may be of none at all' },
  },
  {
    section: 'results',
    rule: 'hourly/ has no row of a cell without records',
    file: 'sinks/lake/hourly-table.ts',
    find: 'for (const cell of shownCells(cells)) {',
    replace: 'for (const cell of cells) {',
    test: { file: 'unit/lake/hourly-table.test.ts', name: 'a row of hourly/ is a cell that has records, and an hour may have none' },
  },
  {
    section: 'results',
    rule: 'a purge is gone on with where its cells have gone, and nowhere else',
    file: 'engine/runtime/promotion.ts',
    find: 'rmSync(join(path, PURGING_FOLDER), { recursive: true, force: true });',
    replace: '',
    test: { file: 'unit/runtime/promotion.test.ts', name: 'of a purge takes erasures.json with it, and what was made for one that was not decided is removed' },
  },
];
