import { describe, expect, it } from 'vitest';
import type { CellName, PartialCell, PartitionReport } from '../../../engine/core/cell.ts';
import { unpackMessage } from '../../../engine/core/codec.ts';
import { Reporter, type ReportingActor } from '../../../engine/runtime/reporter.ts';
import type { ActorToMain } from '../../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../../engine/threads/progress.ts';
import { partial, report } from '../merge/helpers.ts';

/** A partition that has so many cells to tell of, and claims with the last of them. */
class Actor implements ReportingActor {
  readonly index: number;
  changed = 0;
  asked = 0;
  isMidReport = false;
  readonly scopes: string[] = [];
  /** Of making a report. */
  cost: () => void = () => undefined;

  constructor(index: number) {
    this.index = index;
  }

  get hasChanges(): boolean {
    return this.changed > 0 || this.isMidReport || this.owesAnswer;
  }

  get owesAnswer(): boolean {
    return this.asked > 0;
  }

  request(names: readonly CellName[]): void {
    this.asked += names.length;
  }

  report(scope: 'changed' | 'all' | 'asked', cellsMax: number): PartitionReport {
    this.scopes.push(scope);
    this.cost();
    const answers = Math.min(this.asked, cellsMax);
    this.asked -= answers;
    const changes = scope === 'asked' ? 0 : Math.min(this.changed, cellsMax - answers);
    this.changed -= changes;
    if (scope !== 'asked') this.isMidReport = this.changed > 0;
    return report(this.index, 1, Array.from({ length: answers + changes }, (): PartialCell => partial()));
  }
}

function start(actorCount: number, cellsMax = 10) {
  const actors = Array.from({ length: actorCount }, (_, index) => new Actor(index));
  const messages: Extract<ActorToMain, { type: 'report' }>[] = [];
  let nowMs = 0;
  const reporter = new Reporter({
    actors,
    progress: new Progress(new Int32Array(PROGRESS_WORDS)),
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    post: (message) => messages.push(message),
    emitIntervalMs: 25,
    cellsMax,
  });
  /** Partition and number of cells of each report of the message that goes now, and what it says beside; null for none. */
  const next = (isProgressDue = false, answersOnly = false) => {
    reporter.credited({ answersOnly, urgent: false });
    nowMs += 25;
    if (!reporter.mayReport(nowMs)) return null;
    reporter.report(isProgressDue);
    const message = messages.pop();
    if (message === undefined) return null;
    const { reports, answered, complete, oldestReceivedAtMs } = message;
    return { cells: unpackMessage<PartitionReport[]>(reports).map(({ partition, cells }) => [partition, cells.length]), answered, complete, oldestReceivedAtMs };
  };
  const costs = (costMs: number): void => {
    for (const actor of actors) actor.cost = () => (nowMs += costMs);
  };
  return { actors: actors as [Actor, Actor, ...Actor[]], reporter, messages, next, costs };
}

const plain = { answered: [], complete: false, oldestReceivedAtMs: 0 };

describe('a reporter', () => {
  it('tells of what changed, no more cells a message than main takes in one step', () => {
    const { actors, next } = start(3);
    actors.forEach((actor, index) => (actor.changed = [4, 11, 3][index] as number));
    expect(next()).toEqual({ ...plain, cells: [[0, 4], [1, 6]] });
    expect(next()).toEqual({ ...plain, cells: [[1, 5], [2, 3]] });
    expect(next()).toBeNull();
  });

  it('tells of all before it begins again, so that one that changes all the time keeps no other from its turn', () => {
    const { actors, next } = start(2);
    actors[0].changed = 10;
    actors[1].changed = 1;
    expect(next()?.cells).toEqual([[0, 10]]);
    actors[0].changed = 10;
    expect(next()?.cells).toEqual([[1, 1]]);
    expect(next()?.cells).toEqual([[0, 10]]);
  });

  it('may send again once the emit interval has passed, and not before', () => {
    const { actors, reporter, next } = start(1);
    actors[0].changed = 1;
    expect(next()).toEqual({ ...plain, cells: [[0, 1]] });
    reporter.credited({ answersOnly: false, urgent: false });
    actors[0].changed = 1;
    expect([49, 50].map((nowMs) => reporter.mayReport(nowMs))).toEqual([false, true]);
    expect(reporter.idleMs(40)).toBe(10);
  });

  it('goes on with a sweep as soon as it may, and rests behind the last message, at most a tenth of a second', () => {
    const { actors, reporter, messages, costs } = start(2);
    costs(20);
    actors.forEach((actor) => (actor.changed = 10));
    const sent: boolean[] = [];
    const send = (): void => {
      reporter.credited({ answersOnly: false, urgent: false });
      reporter.report(false);
      sent.push((messages.pop() as { more: boolean }).more);
      reporter.credited({ answersOnly: false, urgent: false });
    };
    send();
    expect(reporter.mayReport(20)).toBe(true);
    send();
    expect(sent).toEqual([true, false]);
    expect([139, 140].map((nowMs) => reporter.mayReport(nowMs))).toEqual([false, true]);
  });

  it('may send again at once when main says that it is urgent', () => {
    const { actors, reporter, next, costs } = start(1);
    costs(10);
    actors[0].changed = 1;
    next();
    reporter.credited({ answersOnly: false, urgent: true });
    expect(reporter.mayReport(26)).toBe(true);
    actors[0].changed = 1;
    expect(reporter.idleMs(26)).toBeLessThanOrEqual(0);
  });

  it('sends nothing without credit', () => {
    const { actors, reporter, messages } = start(1);
    actors[0].changed = 1;
    expect(reporter.mayReport(25)).toBe(true);
    reporter.report(false);
    expect(messages).toHaveLength(1);
    expect(reporter.mayReport(1_000)).toBe(false);
    actors[0].changed = 1;
    expect(reporter.idleMs(1_000)).toBe(Infinity);
    reporter.credited({ answersOnly: false, urgent: false });
    expect(reporter.mayReport(1_000)).toBe(true);
    expect(reporter.idleMs(0)).toBe(25);
  });

  it('says complete with the last of what is told after recovery', () => {
    const { actors, reporter, next } = start(2);
    actors.forEach((actor) => (actor.changed = 12));
    reporter.recovered();
    expect(next()).toEqual({ ...plain, cells: [[0, 10]] });
    actors[0].changed = 12;
    expect(next()).toEqual({ ...plain, cells: [[0, 10]] });
    expect(next()).toEqual({ ...plain, cells: [[0, 2], [1, 8]] });
    expect(next()).toEqual({ ...plain, complete: true, cells: [[1, 4]] });
    expect(actors[0].scopes).toEqual(['all', 'all', 'all']);
    actors[0].changed = 1;
    expect(next()).toEqual({ ...plain, cells: [[0, 1]] });
    expect(actors[0].scopes.at(-1)).toBe('changed');
  });

  it('does not rest from what it has told after recovery: what main asks for next is answered at once', () => {
    const { actors, reporter, next, costs } = start(2);
    actors[0].changed = 5;
    reporter.recovered();
    costs(1_000);
    expect(next()?.complete).toBe(true);
    reporter.requested(7, [partial()]);
    expect(next()?.answered).toEqual([7]);
  });

  it('says complete though there is nothing to tell', () => {
    const { reporter, next } = start(2);
    reporter.recovered();
    expect(next()).toEqual({ ...plain, complete: true, cells: [[0, 0], [1, 0]] });
  });

  it('answers before all else, and says so once every partition has', () => {
    const { actors, reporter, next } = start(2);
    actors[0].changed = 15;
    expect(next()?.cells).toEqual([[0, 10]]);
    reporter.requested(7, Array.from({ length: 6 }, () => partial()));
    expect(next()).toEqual({ ...plain, cells: [[0, 6], [1, 4]] });
    expect(next()).toEqual({ ...plain, answered: [7], cells: [[1, 2], [0, 5]] });
    expect(next()).toBeNull();
    reporter.requested(8, []);
    expect(next()).toEqual({ ...plain, answered: [8], cells: [] });
  });

  it('answers alone where there is no room for changes, and goes on with them when there is', () => {
    const { actors, reporter, next } = start(2);
    actors[0].changed = 15;
    expect(next()?.cells).toEqual([[0, 10]]);
    reporter.requested(7, Array.from({ length: 6 }, () => partial()));
    expect(next(true, true)).toEqual({ ...plain, cells: [[0, 6], [1, 4]] });
    expect(next(false, true)).toEqual({ ...plain, answered: [7], cells: [[1, 2]] });
    // Main waits for what it has credited.
    expect(next(false, true)).toEqual({ ...plain, cells: [] });
    expect(next()).toEqual({ ...plain, cells: [[0, 5]] });
    expect(next()).toEqual({ ...plain, cells: [[0, 0], [1, 0]] });
  });

  it('tells how far all partitions are when that is due, at the latest with the next sweep', () => {
    const { actors, next } = start(2);
    actors[0].changed = 11;
    expect(next()?.cells).toEqual([[0, 10]]);
    expect(next(true)?.cells).toEqual([[0, 1]]);
    expect(next()?.cells).toEqual([[0, 0], [1, 0]]);
    expect(next()).toBeNull();
  });

  it('names the oldest record of a sweep with each of its messages', () => {
    const { actors, reporter, next } = start(1);
    actors[0].changed = 11;
    reporter.folded(100);
    reporter.folded(200);
    expect(next()?.oldestReceivedAtMs).toBe(100);
    reporter.folded(300);
    expect(next()?.oldestReceivedAtMs).toBe(100);
    actors[0].changed = 1;
    expect(next()?.oldestReceivedAtMs).toBe(300);
    reporter.folded(400);
    reporter.recovered();
    expect(next()?.oldestReceivedAtMs).toBe(0);
  });

  it('sends all there is when it finishes, credit or not', () => {
    const { actors, reporter, messages, next } = start(2);
    actors[0].changed = 25;
    expect(next()?.cells).toEqual([[0, 10]]);
    actors[1].changed = 12;
    reporter.finish();
    expect(messages.map(({ reports }) => unpackMessage<PartitionReport[]>(reports).map(({ partition, cells }) => [partition, cells.length]))).toEqual([[[0, 10]], [[0, 5]], [[0, 0], [1, 10]], [[1, 2]]]);
  });
});
