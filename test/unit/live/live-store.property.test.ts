import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CellKind, cellMapKey } from '../../../engine/core/cell.ts';
import type { MergedCell } from '../../../engine/core/cell.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import type { LiveStore } from '../../../sinks/live/index.ts';
import { LIVE_TABLES } from '../../../sinks/live/index.ts';
import { DAY_MS, DAY_START_MS, HOUR_MS, merged, name, openLive, output } from './helpers.ts';

const CAMPAIGNS = ['a', 'b', 'b!', '\u{1f600}', '\uff21'];
const HOURS = [-24, -1, 0, 1, 24];
const RETENTION_DAYS = 2;
const FIRST_HOUR_MS = DAY_START_MS - DAY_MS;
/** Of one output: cells that changed, and late cells of an hour told again. */
const CHANGES_MAX = 8 + CAMPAIGNS.length * 2;

/** What must be seen: every cell's latest value, and when it was changed. */
class Model {
  readonly cells = new Map<string, { cell: MergedCell; number: number }>();
  latest = 0;
  watermarkMs = DAY_START_MS;
  finalUpToMs = 0;
  /** Late cells of hours that end at or before this have been told again. */
  #toldUpToMs = 0;

  apply(cells: readonly MergedCell[], nowMs: number): void {
    const told = this.#lateFinals(new Set(cells.map(cellMapKey)));
    for (const cell of cells) this.cells.set(cellMapKey(cell), { cell, number: ++this.latest });
    for (const cell of told) this.cells.set(cellMapKey(cell), { cell: { ...cell, updatedAtMs: nowMs }, number: ++this.latest });
  }

  /** Late cells of the first hour that has become final and has any, as long as an output tells of one hour. */
  #lateFinals(changed: ReadonlySet<string>): MergedCell[] {
    for (; this.#toldUpToMs < this.finalUpToMs; this.#toldUpToMs += HOUR_MS) {
      if (this.#toldUpToMs < FIRST_HOUR_MS) this.#toldUpToMs = FIRST_HOUR_MS;
      const late = this.seen().flatMap(({ cell }) => (cell.kind === CellKind.late && cell.windowStartMs === this.#toldUpToMs && !changed.has(cellMapKey(cell)) ? [cell] : []));
      if (late.length === 0) continue;
      // Hours that had no late cell before this output are done with it: those that get their first one by it are told anyway.
      do this.#toldUpToMs += HOUR_MS;
      while (this.#toldUpToMs < this.finalUpToMs && !this.#hasLate(this.#toldUpToMs));
      return late.sort(byKey);
    }
    return [];
  }

  #hasLate(hourMs: number): boolean {
    return this.seen().some(({ cell }) => cell.kind === CellKind.late && cell.windowStartMs === hourMs);
  }

  seen(): { cell: MergedCell; number: number }[] {
    const kept = [...this.cells.values()].filter(({ cell }) => cell.windowStartMs + (cell.kind === CellKind.day ? DAY_MS : HOUR_MS) + RETENTION_DAYS * DAY_MS > this.watermarkMs);
    return kept.sort((left, right) => left.number - right.number);
  }
}

const byKey = (left: MergedCell, right: MergedCell): number => Buffer.compare(Buffer.from(left.dimensions), Buffer.from(right.dimensions));

async function check(live: LiveStore, model: Model, mark: number, limit: number): Promise<void> {
  const seen = model.seen();
  const changed: MergedCell[] = [];
  let reached = Math.min(mark, model.latest);
  for (let step = 0; step < 1_000; step++) {
    const part = live.changedSince(reached, limit);
    expect(part.cells.length).toBeLessThanOrEqual(limit);
    changed.push(...part.cells);
    reached = part.mark;
    if (part.cells.length === 0) break;
  }
  expect(reached).toBe(model.latest);
  expect(changed).toEqual(seen.filter(({ number }) => number > Math.min(mark, model.latest)).map(({ cell }) => cell));
  for (const kind of Object.values(CellKind)) {
    for (const hour of [...HOURS, 7]) {
      const windowStartMs = DAY_START_MS + hour * HOUR_MS;
      const expected = seen.filter(({ cell }) => cell.kind === kind && cell.windowStartMs === windowStartMs).map(({ cell }) => cell);
      expected.sort(byKey);
      expect(live.window(kind, windowStartMs, null, 99)).toEqual(expected);
      const some = CAMPAIGNS[(mark + hour + 24) % CAMPAIGNS.length] as string;
      expect(live.window(kind, windowStartMs, some, 99)).toEqual(expected.filter((cell) => cell.dimensions.startsWith(`${some}\u001f`)));
    }
  }
  for (const { cell } of seen) expect(live.cell(cell)).toEqual(cell);
  const fresh = openLive(memoryStore(LIVE_TABLES), { retentionDays: RETENTION_DAYS });
  await fresh.apply(output(seen.map(({ cell }) => cell), { watermarkMs: model.watermarkMs }), 1);
  expect(await live.stateHash()).toBe(await fresh.stateHash());
}

const change = fc.record({ kind: fc.constantFrom(...Object.values(CellKind)), hour: fc.constantFrom(...HOURS), campaign: fc.constantFrom(...CAMPAIGNS), country: fc.constantFrom('DE', 'FR') });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('apply' as const), changes: fc.array(change, { maxLength: 8 }), fails: fc.boolean(), laterMs: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('reopen' as const), memoryCellsMax: fc.constantFrom(0, 3, 100) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('advance' as const), hours: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('close' as const), hour: fc.constantFrom(...HOURS) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('check' as const), mark: fc.nat(60), limit: fc.integer({ min: 1, max: 20 }) }) },
);

describe('LiveStore, against a plain model', () => {
  it('shows every cell once with its latest value, whatever is in log, memory and tables, through failures and reopening', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50, size: 'max' }), fc.constantFrom(0, 10, 1_000), fc.constantFrom(2, 10, 1_000), async (steps, logAgeMs, logCellsMax) => {
        let store = memoryStore(LIVE_TABLES);
        let limits = { logAgeMs, logCellsMax, memoryCellsMax: 4, removalsMax: 2, lateFinalsMax: 1 };
        let live = openLive(store, { retentionDays: RETENTION_DAYS, limits });
        const model = new Model();
        let revision = 0;
        let nowMs = 0;
        for (const move of steps) {
          switch (move.type) {
            case 'apply': {
              const distinct = new Map(move.changes.map((each) => [JSON.stringify(each), each]));
              const cells = [...distinct.values()]
                .map(({ kind, hour, campaign, country }) => merged({ kind, windowStartMs: DAY_START_MS + (kind === CellKind.day ? Math.floor(hour / 24) * 24 : hour) * HOUR_MS, dimensions: name(campaign, country), revision: ++revision, measures: [revision, -revision] }))
                .filter((cell, index, all) => all.findIndex((other) => cellMapKey(other) === cellMapKey(cell)) === index)
                .filter((cell) => cell.windowStartMs + (cell.kind === CellKind.day ? DAY_MS : HOUR_MS) + RETENTION_DAYS * DAY_MS > model.watermarkMs);
              nowMs += move.laterMs;
              const next = output(cells, { watermarkMs: model.watermarkMs, finalUpToMs: model.finalUpToMs });
              if (move.fails) {
                store.failNextCommit('STATE_WRITE_FAILED');
                await expect(live.apply(next, nowMs)).rejects.toMatchObject({ code: 'STATE_WRITE_FAILED' });
              } else {
                await live.apply(next, nowMs);
                model.apply(cells, nowMs);
              }
              break;
            }
            case 'reopen':
              store = store.fork();
              limits = { ...limits, memoryCellsMax: move.memoryCellsMax };
              live = openLive(store, { retentionDays: RETENTION_DAYS, limits });
              break;
            case 'advance':
              // What expires by an output is still told by it.
              model.apply([], nowMs);
              model.watermarkMs += move.hours * HOUR_MS;
              await live.apply(output([], { watermarkMs: model.watermarkMs }), nowMs);
              break;
            case 'close':
              model.finalUpToMs = Math.max(model.finalUpToMs, DAY_START_MS + (move.hour + 1) * HOUR_MS);
              await live.apply(output([], { watermarkMs: model.watermarkMs, finalUpToMs: model.finalUpToMs }), nowMs);
              model.apply([], nowMs);
              break;
            case 'check':
              await check(live, model, move.mark, move.limit);
              break;
          }
          const indexed = [...store.range('changes', {})].length;
          expect(indexed).toBe([...store.range('cells', {})].length);
          expect(live.levels().logCells).toBeLessThanOrEqual(logCellsMax + CHANGES_MAX);
        }
        await check(live, model, 0, 5);
      }),
      { numRuns: 60 },
    );
  });
});
