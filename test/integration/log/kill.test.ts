import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../../engine/core/clock.ts';
import { partitionId, type Offset } from '../../../engine/core/types.ts';
import { createRecordCursor, inspectJournal, openJournal, openLogReader } from '../../../engine/log/index.ts';
import { transpile } from './transpile.ts';

const PARTITIONS = 8;
const KILLS = 15;
let directory = '';
let child = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-journal-'));
  child = transpile(join(directory, 'program'), 'test/integration/log/writer-child.ts', ['engine/core', 'engine/log']);
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a writer from `first` on for a while, kills it, and returns the number up to which it had acknowledged. */
function runAndKill(journal: string, first: number, afterMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [child, journal, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output === '') setTimeout(() => writer.kill('SIGKILL'), afterMs);
      output += text;
    });
    writer.on('close', (code) => {
      const whole = output.slice(0, output.lastIndexOf('\n'));
      const last = whole.slice(whole.lastIndexOf('\n') + 1);
      if (code !== null) reject(new Error(`the writer ended by itself with ${code}`));
      else resolve(last === 'open' ? first : Number(last));
    });
  });
}

/** Every record's number by partition, in the order read, and whether its bytes are those that were written. */
function readNumbers(journal: string, from: Offset, durable: Offset): Map<number, number[]> {
  const numbers = new Map<number, number[]>();
  const reader = openLogReader({ directory: journal, lane: { first: 0, count: PARTITIONS }, from });
  const cursor = createRecordCursor();
  for (let batch = reader.read(durable); batch !== null; batch = reader.read(durable)) {
    for (const slice of batch.slices) {
      cursor.reset(batch, slice);
      while (cursor.next()) {
        const text = batch.bytes.toString('latin1', cursor.start, cursor.end);
        const number = Number(text.slice(0, text.indexOf(':')));
        if (text !== `${number}:`.padEnd(20 + ((number * 37) % 1_500), 'x')) throw new Error(`record ${number} differs from what was written`);
        numbers.set(slice.partition, [...(numbers.get(slice.partition) ?? []), number]);
      }
    }
  }
  reader.close();
  return numbers;
}

describe('a journal on a real disk', () => {
  it('holds every acknowledged record after kill -9 at any moment, in order, and goes on', async () => {
    const journal = join(directory, 'journal');
    let acknowledged = 0;
    // On a slow disk some writers are killed before their first commit: others follow, with more time.
    for (let kill = 0; kill < KILLS || acknowledged <= KILLS * 40; kill++) {
      const first = acknowledged;
      const upTo = await runAndKill(journal, first, (20 + ((kill * 53) % 200)) * Math.ceil((kill + 1) / KILLS));
      const { writer, recovery } = await openJournal({
        directory: journal,
        instance: 'kill-test',
        partitionCount: PARTITIONS,
        clock: systemClock,
        publish: () => undefined,
        batchBytesMax: 128 * 1024,
      });
      const read = readNumbers(journal, recovery.oldestOffset, recovery.durableOffset);
      const newest = Math.max(upTo - 1, ...[...read.values()].map((numbers) => numbers.at(-1) ?? -1));
      // A batch that was on disk but not confirmed counts as sent: at most one, of at most 40 records.
      expect(newest - upTo).toBeLessThan(40);
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const numbers = read.get(partition) ?? [];
        const expected: number[] = [];
        for (let number = numbers[0] ?? partition; number <= newest; number += PARTITIONS) expected.push(number);
        expect(numbers, `kill ${kill}, partition ${partition}`).toEqual(expected);
        expect(numbers.length > 0).toBe(newest >= partition);
      }
      await writer.close();
      acknowledged = newest + 1;
    }
    const report = inspectJournal({ directory: journal, verifyRecords: true });
    expect(report.segments.map((segment) => segment.damage)).toEqual(report.segments.map(() => null));
    expect(readdirSync(journal).filter((name) => name.startsWith('spare')).length).toBeLessThanOrEqual(2);
  });

  it('refuses to open over damage before its durable end, naming file and place, and leaves it as it is', async () => {
    const journal = join(directory, 'damaged');
    const options = { directory: journal, instance: 'kill-test', partitionCount: PARTITIONS, clock: systemClock, publish: () => undefined };
    const { writer } = await openJournal(options);
    for (let number = 0; number < 3; number++) {
      writer.append(partitionId(1), 1, 0, Buffer.alloc(500, 'x'), 0, 500);
      await writer.commit();
    }
    await writer.close();
    const path = inspectJournal({ directory: journal }).segments[0]?.path ?? '';
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, Buffer.from('!'), 0, 1, 4_096 + 200);
    closeSync(descriptor);
    const before = readFileSync(path);
    await expect(openJournal(options)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT', where: { file: path, position: 4_096 } });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(inspectJournal({ directory: journal, verifyRecords: true }).segments[0]?.damage).toContain('durable up to');
  });

  it('refuses a directory that is read-only or full of something else', async () => {
    const options = { instance: 'kill-test', partitionCount: PARTITIONS, clock: systemClock, publish: () => undefined };
    const file = join(directory, 'a-file');
    closeSync(openSync(file, 'w'));
    await expect(openJournal({ ...options, directory: file })).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
    await expect(openJournal({ ...options, directory: '/proc/journal' })).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
  });
});
