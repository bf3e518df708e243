import { afterEach, describe, expect, it } from 'vitest';
import type { EngineError } from '../../../engine/core/errors.ts';
import { systemClock } from '../../../engine/core/clock.ts';
import { partitionId } from '../../../engine/core/types.ts';
import { Batcher, type BatchMember, type BatcherOptions } from '../../../ingress/batcher.ts';
import { MemoryLog } from '../../integration/ingress/memory-log.ts';

class Member implements BatchMember {
  appending = false;
  batchesPending = 0;
  lastBatch = 0;
  failure: EngineError | null = null;
  readonly settledWith: (string | null)[] = [];
  onResume: () => void = () => undefined;
  readonly #onSettled: () => void;

  constructor(onSettled: () => void = () => undefined) {
    this.#onSettled = onSettled;
  }

  settled(): void {
    this.settledWith.push(this.failure?.code ?? null);
    this.#onSettled();
  }

  resume(): void {
    this.onResume();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 500) throw new Error('waited in vain');
    await pause(2);
  }
};

let open: Batcher | null = null;
const failures: string[] = [];
function batcher(log: MemoryLog, options: Partial<BatcherOptions> = {}): Batcher {
  failures.length = 0;
  open = new Batcher({ writer: log, clock: systemClock, batchBytesMax: 1_000_000, tickAfterMs: 60_000, onFailure: (error) => failures.push(error.code), ...options });
  return open;
}
const put = (to: Batcher, member: BatchMember, text: string): boolean => to.append(member, partitionId(0), 1, 0, Buffer.from(text), 0, text.length);

afterEach(() => {
  open?.stop();
});

describe('group commit', () => {
  it('commits what came in one turn of the loop together, and tells nobody before', async () => {
    const log = new MemoryLog();
    const group = batcher(log);
    const seen: number[] = [];
    const members = Array.from({ length: 3 }, () => new Member(() => seen.push(log.batches.length)));
    for (const [index, member] of members.entries()) put(group, member, `record ${index}`);
    expect(log.batches).toHaveLength(0);
    expect(members.flatMap((member) => member.settledWith)).toEqual([]);
    await turn();
    expect(log.batches.map((batch) => batch.records.length)).toEqual([3]);
    expect(seen).toEqual([1, 1, 1]);
    expect(group.idle).toBe(true);
  });

  it('commits a lone record in the same turn', async () => {
    const log = new MemoryLog();
    const lone = new Member();
    put(batcher(log), lone, 'x');
    await turn();
    expect(lone.settledWith).toEqual([null]);
  });

  it('commits a batch at once when it is full, and tells its members once the loop comes round', async () => {
    const log = new MemoryLog();
    const group = batcher(log, { batchBytesMax: 100 });
    const member = new Member();
    member.appending = true;
    for (let index = 0; index < 20; index++) put(group, member, 'x'.repeat(30));
    expect(log.batches.length).toBeGreaterThan(5);
    expect(member.settledWith).toEqual([]);
    member.appending = false;
    await turn();
    expect(member.settledWith).toEqual([null]);
    expect(log.records).toHaveLength(20);
  });

  it('fails exactly the members of the batch that failed, with its code, and goes on', async () => {
    const log = new MemoryLog();
    const group = batcher(log);
    const [first, second, third] = [new Member(), new Member(), new Member()];
    put(group, first, 'a');
    await turn();
    log.fail = 'DISK_FULL';
    put(group, second, 'b');
    await turn();
    log.fail = null;
    put(group, third, 'c');
    await turn();
    expect([first, second, third].map((member) => member.settledWith)).toEqual([[null], ['DISK_FULL'], [null]]);
    expect(log.texts).toEqual(['a', 'c']);
    expect(failures).toEqual(['DISK_FULL']);
  });

  it('does not settle a member that has more to append, though all it has appended is durable', async () => {
    const log = new MemoryLog();
    const group = batcher(log);
    const member = new Member();
    member.appending = true;
    put(group, member, 'a');
    await turn();
    expect(log.texts).toEqual(['a']);
    expect(member.settledWith).toEqual([]);
    put(group, member, 'b');
    member.appending = false;
    await turn();
    expect(member.settledWith).toEqual([null]);
  });

  it('fails a member whole when one of its two batches failed', async () => {
    const log = new MemoryLog();
    const group = batcher(log, { batchBytesMax: 40 });
    const member = new Member();
    log.fail = 'JOURNAL_WRITE_FAILED';
    put(group, member, 'x'.repeat(40));
    log.fail = null;
    put(group, member, 'y');
    await turn();
    expect(member.settledWith).toEqual(['JOURNAL_WRITE_FAILED']);
    expect(log.texts).toEqual(['y']);
  });
});

describe('with a slow disk', () => {
  it('gathers the next batch meanwhile and never commits twice at a time', async () => {
    const log = new MemoryLog();
    log.commitMs = 20;
    const group = batcher(log);
    const members = Array.from({ length: 6 }, () => new Member());
    for (const [index, member] of members.entries()) {
      put(group, member, String(index));
      await turn();
    }
    expect(members.flatMap((member) => member.settledWith)).toEqual([]);
    await until(() => group.idle);
    expect(log.batches.map((batch) => batch.records.length)).toEqual([1, 5]);
    expect(members.map((member) => member.settledWith)).toEqual(Array.from({ length: 6 }, () => [null]));
  });

  it('refuses what the open batch cannot hold, and resumes the parked in order once there is room', async () => {
    const log = new MemoryLog(100);
    log.commitMs = 10;
    const group = batcher(log);
    const order: string[] = [];
    const first = new Member();
    put(group, first, 'x'.repeat(80));
    await turn();
    put(group, new Member(), 'y'.repeat(80));
    for (const name of ['one', 'two', 'three']) {
      const member = new Member(() => order.push(name));
      member.appending = true;
      member.onResume = () => {
        if (put(group, member, name.padEnd(60))) member.appending = false;
        else group.park(member);
      };
      expect(put(group, member, name.padEnd(60))).toBe(false);
      group.park(member);
    }
    await until(() => group.idle);
    expect(order).toEqual(['one', 'two', 'three']);
    expect(log.texts.map((text) => text.trim().slice(0, 5))).toEqual(['xxxxx', 'yyyyy', 'one', 'two', 'three']);
  });

  it('fails the members of the failed batch alone', async () => {
    const log = new MemoryLog();
    log.commitMs = 10;
    const group = batcher(log);
    const [first, second] = [new Member(), new Member()];
    log.fail = 'DISK_FULL';
    put(group, first, 'a');
    await turn();
    put(group, second, 'b');
    await until(() => first.settledWith.length > 0);
    log.fail = null;
    await until(() => group.idle);
    expect([first.settledWith, second.settledWith]).toEqual([['DISK_FULL'], [null]]);
  });
});

describe('an empty batch under way on a slow disk', () => {
  const answeredBeforeDurable = async (log: MemoryLog, group: Batcher): Promise<void> => {
    await until(() => log.committing);
    const member = new Member();
    put(group, member, 'x');
    await turn();
    log.release();
    log.hold();
    await until(() => log.batches.length === 1 && log.committing);
    await turn();
    expect([log.texts, member.settledWith]).toEqual([[], []]);
    log.release();
    await until(() => group.idle);
    expect([log.texts, member.settledWith]).toEqual([['x'], [null]]);
  };

  it('answers nobody who came while a tick was being synced before their own batch is durable', async () => {
    const log = new MemoryLog();
    log.hold();
    await answeredBeforeDurable(log, batcher(log, { tickAfterMs: 20 }));
  });

  it('answers nobody who came while a control record alone was being synced before their own batch is durable', async () => {
    const log = new MemoryLog();
    const group = batcher(log);
    log.hold();
    const control = group.writeControl(Buffer.from('rules'));
    await answeredBeforeDurable(log, group);
    await control;
  });
});

describe('ticks', () => {
  it('come after silence, one for each stretch of it, and not while records do', async () => {
    const log = new MemoryLog();
    let nowMs = 0;
    const group = batcher(log, { tickAfterMs: 20, clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } });
    const ticksAfter = async (atMs: number): Promise<number> => {
      nowMs = atMs;
      await pause(30);
      return group.stats().ticks;
    };
    expect(await ticksAfter(19)).toBe(0);
    put(group, new Member(), 'x');
    await turn();
    expect(await ticksAfter(38)).toBe(0);
    expect(await ticksAfter(39)).toBe(1);
    expect(await ticksAfter(58)).toBe(1);
    expect(await ticksAfter(59)).toBe(2);
    expect(log.batches.map((batch) => batch.records.length)).toEqual([1, 0, 0]);
  });

  it('wake an idle thread once each, and are put off by a record without a look in between', () => {
    let nowMs = 0;
    const due: { readonly atMs: number; readonly callback: () => void }[] = [];
    const group = batcher(new MemoryLog(), {
      tickAfterMs: 1_000,
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
      timers: {
        soon: (callback) => {
          callback();
        },
        after: (delayMs, callback) => {
          due.push({ atMs: nowMs + delayMs, callback });
          return () => undefined;
        },
      },
    });
    const runTo = (endMs: number): number => {
      let wakes = 0;
      for (let next = due[0]; next !== undefined && next.atMs <= endMs; next = due[0]) {
        due.shift();
        nowMs = next.atMs;
        wakes++;
        next.callback();
      }
      nowMs = endMs;
      return wakes;
    };
    expect(runTo(5_500)).toBe(5);
    expect(group.stats().ticks).toBe(5);
    put(group, new Member(), 'x');
    // The look at 6.0 s finds half a second of silence, the next one a whole.
    expect(runTo(6_600)).toBe(2);
    expect(group.stats().ticks).toBe(6);
  });

  it('that fail are counted and tried again', async () => {
    const log = new MemoryLog();
    log.fail = 'DISK_FULL';
    const group = batcher(log, { tickAfterMs: 20 });
    await until(() => group.stats().commitFailures >= 2);
    log.fail = null;
    await until(() => log.batches.length > 0);
  });
});

describe('control records', () => {
  it('stand first in the next batch, all that wait together', async () => {
    for (const commitMs of [0, 5]) {
      const log = new MemoryLog();
      log.commitMs = commitMs;
      const group = batcher(log);
      put(group, new Member(), 'before');
      const written = Promise.all([group.writeControl(Buffer.from('rule 1')), group.writeControl(Buffer.from('rule 2'))]);
      await written;
      put(group, new Member(), 'after');
      await until(() => group.idle);
      const shape = log.batches.map((batch) => [...batch.controls.map(String), ...batch.records.map((record) => record.bytes.toString())]);
      expect(shape).toEqual([['rule 1', 'rule 2', 'before'], ['after']]);
      group.stop();
    }
  });

  it('do not wait for a pause in the load', async () => {
    const log = new MemoryLog();
    log.commitMs = 3;
    const group = batcher(log);
    let isLoaded = true;
    const load = (async () => {
      while (isLoaded) {
        put(group, new Member(), 'record');
        await turn();
      }
    })();
    await until(() => log.batches.length > 2);
    const before = log.batches.length;
    await group.writeControl(Buffer.from('rule'));
    expect(log.batches.length - before).toBeLessThanOrEqual(3);
    isLoaded = false;
    await load;
    await until(() => group.idle);
  });

  it('that could not be written are rejected with the reason', async () => {
    for (const commitMs of [0, 5]) {
      const log = new MemoryLog();
      log.commitMs = commitMs;
      log.fail = 'JOURNAL_WRITE_FAILED';
      const group = batcher(log);
      await expect(group.writeControl(Buffer.from('rule'))).rejects.toMatchObject({ code: 'JOURNAL_WRITE_FAILED' });
      group.stop();
    }
  });
});
