import { describe, expect, it } from 'vitest';

import { offset, type Offset } from '../../../engine/core/types.ts';
import type { JournalWriter } from '../../../engine/log/index.ts';
import { diskError, FaultyDisk, seededRandom, type Random } from './faulty-disk.ts';
import { appendText, open, PARTITIONS, readAll, TestClock, type OpenedTestJournal, type PlainBatch } from './journal-fixture.ts';

/** A batch as sent: what must be read back if it is read back at all. */
type Sent = ReadonlyMap<number, readonly string[]>;

/**
 * The plain model of a journal. A published batch is truth for good; one that failed or was cut off may turn up once, whole,
 * after a restart, and is truth from then on. Nothing else may ever be read.
 */
class Model {
  readonly truth: { sequence: number; sent: Sent; receivedAtMs: number }[] = [];
  #doubtful: Sent[] = [];
  /** Offsets of batches that a flushed checkpoint may name: they never move. */
  #pinned = new Map<number, number>();
  provenOffset = offset(0);
  retainedFrom = 0;

  /** From now on the batch may be on disk; each of several in a row that failed may be the one that turns up. */
  sent(sent: Sent): void {
    this.#doubtful.push(sent);
  }

  /** What is on disk and was read after the batch was published, or after a restart. */
  check(batches: readonly PlainBatch[], label: string): void {
    const first = batches[0]?.sequence ?? this.truth.length;
    expect(first, label).toBeLessThanOrEqual(this.retainedFrom);
    batches.forEach((batch, index) => {
      expect(batch.sequence, label).toBe(first + index);
      const known = this.truth[batch.sequence];
      const candidates = known === undefined ? this.#doubtful : [known.sent];
      expect(candidates.some((candidate) => sameBatch(candidate, batch)), `${label}: batch ${batch.sequence} is one that was sent`).toBe(true);
      if (known === undefined) this.truth.push({ sequence: batch.sequence, sent: contentOf(batch), receivedAtMs: batch.receivedAtMs });
      else expect(batch.receivedAtMs, label).toBe(known.receivedAtMs);
      const pinned = this.#pinned.get(batch.sequence);
      if (pinned !== undefined) expect(batch.offset, `${label}: a checkpoint names batch ${batch.sequence}`).toBe(pinned);
      expect(batch.receivedAtMs, label).toBeGreaterThanOrEqual(this.truth[batch.sequence - 1]?.receivedAtMs ?? 0);
    });
    expect(first + batches.length, `${label}: nothing acknowledged is missing`).toBe(this.truth.length);
  }

  /** Recovery has decided what became of the batches that failed. */
  opened(): void {
    this.#doubtful = [];
  }

  published(sent: Sent, receivedAtMs: number): void {
    this.truth.push({ sequence: this.truth.length, sent, receivedAtMs });
    this.#doubtful = [];
  }

  checkpoint(batches: readonly PlainBatch[], upTo: number): void {
    for (const batch of batches.slice(0, upTo)) this.#pinned.set(batch.sequence, batch.offset);
    const last = batches[upTo - 1];
    if (last !== undefined && last.endOffset > this.provenOffset) this.provenOffset = last.endOffset as Offset;
  }
}

const contentOf = (batch: PlainBatch): Sent => {
  const content = new Map<number, string[]>();
  for (const record of batch.records) content.set(record.partition, [...(content.get(record.partition) ?? []), record.text]);
  return content;
};

const sameBatch = (sent: Sent, batch: PlainBatch): boolean => {
  const read = contentOf(batch);
  return read.size === sent.size && [...sent].every(([partition, records]) => records.join('\n') === read.get(partition)?.join('\n'));
};

let nextText = 0;

function appendBatch(writer: JournalWriter, random: Random): Sent {
  const sent = new Map<number, string[]>();
  const count = random() < 0.1 ? 0 : 1 + Math.floor(random() * 6);
  for (let record = 0; record < count; record++) {
    const text = `${nextText++}:`.padEnd(8 + Math.floor(random() ** 3 * 2_500), 'abcdefgh');
    if (!writer.hasRoomFor(text.length)) break;
    const partition = Math.floor(random() * PARTITIONS);
    appendText(writer, partition, text);
    sent.set(partition, [...(sent.get(partition) ?? []), text]);
  }
  return sent;
}

/** Opens, cut short again and again when `random` says so: a crash during recovery is a crash like any other. */
async function reopen(disk: FaultyDisk, model: Model, clock: TestClock, random: Random): Promise<OpenedTestJournal> {
  for (let attempt = 0; ; attempt++) {
    if (attempt < 6 && random() < 0.5) disk.operationsLeft = Math.floor(random() * 25);
    try {
      const opened = await open(disk, { clock, provenOffset: model.provenOffset, sparesMax: Math.floor(random() * 3), slowSyncMs: random() < 0.2 ? -1 : 20 });
      disk.operationsLeft = Infinity;
      if (!disk.dead) return opened;
    } catch (error) {
      if (!disk.dead) throw error;
    }
    disk.powerCut(random);
  }
}

async function life(disk: FaultyDisk, model: Model, clock: TestClock, random: Random, label: string): Promise<void> {
  const { writer, recovery } = await reopen(disk, model, clock, random);
  const from = recovery.oldestOffset;
  model.check(readAll(disk, writer.durableOffset, { from }), `${label} after open`);
  model.opened();
  expect(recovery.nextSequence).toBe(model.truth.length);
  if (random() < 0.7) disk.operationsLeft = Math.floor(random() * 120);
  const faulty = random() < 0.4;
  let newestMs = model.truth.at(-1)?.receivedAtMs ?? 0;
  for (let step = 0; step < 25 && !disk.dead; step++) {
    clock.advance(Math.floor(random() * 400));
    if (random() < 0.1) clock.wallMs -= Math.floor(random() * 2_000);
    disk.shortWrite = random() < 0.2 ? (length) => 1 + Math.floor(random() * length) : null;
    disk.fault = faulty && random() < 0.3 ? (_operation, path) => (path.includes('journal') && random() < 0.3 ? diskError(random() < 0.5 ? 'EIO' : 'ENOSPC') : null) : null;
    const sent = appendBatch(writer, random);
    model.sent(sent);
    const before = writer.durableOffset;
    // A batch that fails has been given a time all the same, and the next one a later.
    newestMs = Math.max(newestMs, clock.wallMs);
    try {
      await writer.commit();
      model.published(sent, newestMs);
    } catch (error) {
      expect(['JOURNAL_WRITE_FAILED', 'DISK_FULL'], `${label}: ${String(error)}`).toContain((error as { code?: string }).code);
      expect(writer.durableOffset).toBe(before);
    }
    if (random() < 0.05) await retainSome(disk, writer, model, random);
  }
  disk.fault = null;
  if (!disk.dead) {
    const batches = undisturbed(disk, () => readAll(disk, writer.durableOffset, { from: writer.stats().oldestOffset }));
    model.check(batches, `${label} at the end`);
    if (random() < 0.5) model.checkpoint(batches, Math.floor(random() * (batches.length + 1)));
  }
  if (random() < 0.3) await writer.close();
  if (disk.dead || random() < 0.6) disk.powerCut(random);
  else disk.processDeath();
}

/** Reads without using up the operations that stand before the crash, and without injected faults. */
function undisturbed<Result>(disk: FaultyDisk, read: () => Result): Result {
  const { fault, operationsLeft } = disk;
  disk.fault = null;
  disk.operationsLeft = Infinity;
  try {
    return read();
  } finally {
    disk.fault = fault;
    disk.operationsLeft = operationsLeft;
  }
}

async function retainSome(disk: FaultyDisk, writer: JournalWriter, model: Model, random: Random): Promise<void> {
  const oldestKept = Math.floor(model.truth.length * random());
  if (disk.dead) return;
  const kept = undisturbed(disk, () => readAll(disk, writer.durableOffset, { from: writer.stats().oldestOffset })).find((batch) => batch.sequence >= oldestKept);
  if (kept === undefined) return;
  model.retainedFrom = Math.max(model.retainedFrom, kept.sequence);
  await writer.retain({ needOffset: kept.offset as Offset, maxAgeMs: -1_000_000, maxBytes: 0 }).catch(() => undefined);
}

describe('the journal against a plain model', () => {
  const first = Number(process.env['MILLRACE_TEST_SEED'] ?? 1);
  const count = Number(process.env['MILLRACE_TEST_RUNS'] ?? 100);

  it(`keeps what it acknowledged and invents nothing through power cuts, failing disks and restarts (seeds ${first} to ${first + count - 1})`, async () => {
    for (let seed = first; seed < first + count; seed++) {
      const random = seededRandom(seed);
      const disk = new FaultyDisk();
      const model = new Model();
      const clock = new TestClock();
      for (let lives = 0; lives < 5; lives++) {
        try {
          await life(disk, model, clock, random, `MILLRACE_TEST_SEED=${seed} MILLRACE_TEST_RUNS=1, life ${lives}`);
        } catch (error) {
          throw new Error(`repeat with MILLRACE_TEST_SEED=${seed} MILLRACE_TEST_RUNS=1`, { cause: error });
        }
      }
    }
  }, 30_000 + count * 200);
});

describe('a crash at each disk operation', () => {
  /** Opens over an unproven tail, rolls, survives a failed sync, retires segments. Returns what was acknowledged. */
  async function story(disk: FaultyDisk, acknowledged: string[]): Promise<void> {
    const { writer } = await open(disk, { sparesMax: 1 });
    const commit = async (text: string): Promise<void> => {
      appendText(writer, 2, text);
      await writer.commit();
      acknowledged.push(text);
    };
    for (let index = 0; index < 16; index++) await commit(`a${index}`.padEnd(5_000));
    const operationsLeft = disk.operationsLeft;
    disk.fault = (operation) => (operation === 'sync' ? diskError('EIO') : null);
    await commit('failed').catch(() => undefined);
    disk.fault = null;
    expect(disk.operationsLeft).toBeLessThanOrEqual(operationsLeft);
    await commit('b');
    const again = await open(disk, { sparesMax: 1 });
    for (let index = 0; index < 14; index++) {
      appendText(again.writer, 2, `c${index}`.padEnd(5_000));
      await again.writer.commit();
      acknowledged.push(`c${index}`.padEnd(5_000));
    }
    await again.writer.close();
  }

  it('leaves every acknowledged record, in order, and at most one more', async () => {
    const whole = new FaultyDisk();
    await story(whole, []);
    for (let operations = 0; operations < whole.operations; operations++) {
      for (const seed of [1, 2, 3]) {
        const disk = new FaultyDisk();
        const acknowledged: string[] = [];
        disk.operationsLeft = operations;
        await story(disk, acknowledged).catch((error: unknown) => {
          if (!disk.dead) throw error;
        });
        disk.powerCut(seededRandom(seed * 7_919 + operations));
        const { writer } = await open(disk);
        const found = readAll(disk, writer.durableOffset).flatMap((batch) => batch.records.map((record) => record.text));
        const extra = found.filter((text) => !acknowledged.includes(text));
        expect(found.filter((text) => acknowledged.includes(text)), `operation ${operations}, seed ${seed}`).toEqual(acknowledged);
        expect(extra.length, `operation ${operations}, seed ${seed}: ${extra.join()}`).toBeLessThanOrEqual(1);
      }
    }
  }, 60_000);
});
