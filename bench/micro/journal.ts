/**
 * How fast is the journal? Commits of 1, 64 and 512 records, and reading them back.
 *
 * Limits expected: commits of one record are bound by the disk's sync; large ones by sync and memory copies (each byte is moved
 * twice and run through a CRC); reading by the CRC (about 2.4 GB/s a core) and, on a cold cache, by the disk.
 * Usage: node dist/bench/micro/journal.js [directory] [--runs 5] [--seconds 0.4] [--slow-sync-ms 2]. Every number is checked against what was
 * written. All is measured twice: on the disk as it is, and by a second process with 2 ms added to each sync; 0 leaves that away.
 */

import { spawnSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemClock } from '../../engine/core/clock.ts';
import { offset, partitionId } from '../../engine/core/types.ts';
import { diskLine, measureDiskIn, SLOW_SYNC_MS, requireSlower, slowSync } from '../harness/slow-sync.ts';
import { machineFacts, median } from '../harness/machine.ts';
import { isProgram } from '../harness/program.ts';
import { createRecordCursor, openJournal, openLogReader, type JournalWriter } from '../../engine/log/index.ts';

const PARTITIONS = 32;
const RECORD_BYTES = 1_600;
const SLOW_OPTION = '--slow-sync-ms';
const DISK_SECONDS = 1;

export interface CommitFigures {
  readonly recordsPerBatch: number;
  readonly commitsPerSecond: number;
  readonly recordsPerSecond: number;
  readonly megabytesPerSecond: number;
}

export interface ReadFigures {
  readonly lanes: number;
  readonly recordsPerSecond: number;
  readonly gigabytesPerSecond: number;
}

export interface JournalBenchOptions {
  /** On the disk to be measured; a directory of its own is made in it and removed. */
  readonly directory: string;
  readonly runs: number;
  readonly secondsPerRun: number;
}

export interface JournalBenchResult {
  /** 4 KiB overwrites of a zero-filled file, each followed by fdatasync: what no commit can beat. */
  readonly rawSyncsPerSecond: number;
  readonly commits: readonly CommitFigures[];
  readonly reads: readonly ReadFigures[];
}


export async function benchJournal(options: JournalBenchOptions): Promise<JournalBenchResult> {
  const directory = mkdtempSync(join(options.directory, 'millrace-bench-journal-'));
  try {
    const rawSyncsPerSecond = median(Array.from({ length: options.runs }, () => rawSyncs(directory, options.secondsPerRun / 2)));
    const commits: CommitFigures[] = [];
    for (const recordsPerBatch of [1, 64, 512]) commits.push(await benchCommits(directory, recordsPerBatch, options));
    return { rawSyncsPerSecond, commits, reads: await benchReads(directory, options) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const openAt = (directory: string): ReturnType<typeof openJournal> =>
  openJournal({ directory, instance: 'bench', partitionCount: PARTITIONS, clock: systemClock, publish: () => undefined });

function appendBatch(writer: JournalWriter, payload: Buffer, recordsPerBatch: number, first: number): void {
  for (let record = first; record < first + recordsPerBatch; record++) {
    payload.writeUInt32LE(record, 0);
    writer.append(partitionId((record * 7) % PARTITIONS), 1, 0, payload, 0, RECORD_BYTES);
  }
}

async function benchCommits(parent: string, recordsPerBatch: number, options: JournalBenchOptions): Promise<CommitFigures> {
  const rates: number[] = [];
  const payload = Buffer.alloc(RECORD_BYTES, 'r');
  for (let run = 0; run < options.runs; run++) {
    const directory = join(parent, `commit-${recordsPerBatch}-${run}`);
    // The second opening finds the spares that the first one filled: what a daemon that has been up for a second works with.
    const filler = await openAt(directory);
    await waitForSpares(filler.writer);
    await filler.writer.close();
    const { writer } = await openAt(directory);
    await waitForSpares(writer);
    const startMs = performance.now();
    let commits = 0;
    let elapsedMs = 0;
    for (; elapsedMs < options.secondsPerRun * 1_000; elapsedMs = performance.now() - startMs) {
      appendBatch(writer, payload, recordsPerBatch, commits * recordsPerBatch);
      const done = writer.commit();
      if (done !== true) await done;
      commits++;
    }
    rates.push((commits / elapsedMs) * 1_000);
    if (writer.stats().records !== commits * recordsPerBatch) throw new Error('the journal lost count');
    await writer.close();
    rmSync(directory, { recursive: true });
  }
  const commitsPerSecond = median(rates);
  const recordsPerSecond = commitsPerSecond * recordsPerBatch;
  return { recordsPerBatch, commitsPerSecond, recordsPerSecond, megabytesPerSecond: (recordsPerSecond * RECORD_BYTES) / 1e6 };
}

async function waitForSpares(writer: JournalWriter): Promise<void> {
  while (writer.stats().spares < 2) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Reads one journal of many middling batches from the page cache: all of it, and one lane of four. */
async function benchReads(parent: string, options: JournalBenchOptions): Promise<ReadFigures[]> {
  const directory = join(parent, 'read');
  const { writer } = await openAt(directory);
  const payload = Buffer.alloc(RECORD_BYTES, 'r');
  const records = Math.ceil((options.secondsPerRun * 160_000) / 64) * 64;
  for (let record = 0; record < records; record += 64) {
    appendBatch(writer, payload, 64, record);
    await writer.commit();
  }
  const durable = writer.durableOffset;
  const cursor = createRecordCursor();
  const figures: ReadFigures[] = [];
  for (const lanes of [1, 4]) {
    const rates: number[] = [];
    for (let run = 0; run < options.runs; run++) {
      const reader = openLogReader({ directory, lane: { first: 0, count: PARTITIONS / lanes }, from: offset(0) });
      const startMs = performance.now();
      let read = 0;
      for (let batch = reader.read(durable); batch !== null; batch = reader.read(durable)) {
        for (const slice of batch.slices) for (cursor.reset(batch, slice); cursor.next(); ) read++;
      }
      rates.push((read / (performance.now() - startMs)) * 1_000);
      reader.close();
      if (read !== records / lanes) throw new Error(`read ${read} of ${records / lanes} records`);
    }
    const recordsPerSecond = median(rates);
    figures.push({ lanes, recordsPerSecond, gigabytesPerSecond: (recordsPerSecond * RECORD_BYTES) / 1e9 });
  }
  await writer.close();
  return figures;
}

function rawSyncs(directory: string, seconds: number): number {
  const path = join(directory, 'raw');
  const descriptor = openSync(path, 'w+');
  const block = Buffer.alloc(4_096, 'b');
  const blocks = 4_096;
  writeSync(descriptor, Buffer.alloc(blocks * block.byteLength), 0, blocks * block.byteLength, 0);
  fdatasyncSync(descriptor);
  const startMs = performance.now();
  let syncs = 0;
  for (; performance.now() - startMs < seconds * 1_000; syncs++) {
    writeSync(descriptor, block, 0, block.byteLength, (syncs % blocks) * block.byteLength);
    fdatasyncSync(descriptor);
  }
  const rate = (syncs / (performance.now() - startMs)) * 1_000;
  closeSync(descriptor);
  rmSync(path);
  return rate;
}

function print(result: JournalBenchResult): void {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US').padStart(10);
  const lines = [
    `raw 4 KiB overwrite + fdatasync   ${whole(result.rawSyncsPerSecond)} /s`,
    ...result.commits.map(
      (row) =>
        `commit of ${String(row.recordsPerBatch).padStart(3)} x ${RECORD_BYTES} B          ${whole(row.commitsPerSecond)} /s ${whole(row.recordsPerSecond)} records/s ${whole(row.megabytesPerSecond)} MB/s`,
    ),
    ...result.reads.map((row) => `read, lane 1 of ${row.lanes}                 ${whole(row.recordsPerSecond)} records/s ${row.gigabytesPerSecond.toFixed(2).padStart(8)} GB/s`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** The same once more, by a process that the shim slows down. */
function benchSlowly(directory: string, addedMs: number): void {
  const sync = slowSync(addedMs);
  if ('skipped' in sync) {
    process.stdout.write(`figures with ${addedMs} ms added to each sync are skipped: ${sync.skipped}\n`);
    return;
  }
  const [asIs, slow] = [measureDiskIn({}, directory, DISK_SECONDS), measureDiskIn(sync.env, directory, DISK_SECONDS)];
  process.stdout.write(`\nwith ${addedMs} ms added to each sync: a 4 KiB sync took ${diskLine(slow)}; as it is ${diskLine(asIs)}\n`);
  requireSlower(slow, asIs, addedMs);
  const { status } = spawnSync(process.execPath, [...process.argv.slice(1), SLOW_OPTION, '0'], { env: { ...process.env, ...sync.env }, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

if (isProgram(import.meta.url)) {
  const named = (name: string, fallback: number): number => {
    // The last one counts.
    const at = process.argv.lastIndexOf(name);
    return at < 0 ? fallback : Number(process.argv[at + 1]);
  };
  const directory = process.argv[2]?.startsWith('--') === false ? process.argv[2] : tmpdir();
  const slowSyncMs = named(SLOW_OPTION, SLOW_SYNC_MS);
  if (slowSyncMs > 0) process.stdout.write(`${Object.values(machineFacts()).join(', ')}\n`);
  print(await benchJournal({ directory, runs: named('--runs', 5), secondsPerRun: named('--seconds', 0.4) }));
  if (slowSyncMs > 0) benchSlowly(directory, slowSyncMs);
}
