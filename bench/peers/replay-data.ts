/**
 * The same records twice: as a data directory of Millrace's with a journal, and as NDJSON files for a peer. Generated messages with all
 * their spellings, disorder, late events and resends, but for what has no place on a line of NDJSON or in the peer's job: garbage, GET and SKAdNetwork.
 */

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { SEGMENT_BYTES_DEFAULT } from '../../engine/log/index.ts';
import { directoriesOf, openDataDirectory } from '../../engine/runtime/data-directory.ts';
import { openBenchJournal, type BenchJournal } from '../micro/bench-journal.ts';
import { BENCH_PARTITIONS } from '../micro/bench-partition.ts';

const SEED = 7;
/** A quarter of an hour before an hour ends: the shorter log goes past it as well. */
const START_MS = Date.UTC(2026, 4, 3, 9, 45);
/** Hours close while a log is folded. */
const SPAN_MINUTES = 120;
/** Repeats are more than in AppsFlyer's stream, so that dedupe matters to the answer. */
const RESEND_SHARE = 0.05;
const BATCH_RECORDS = 512;
const BUFFER_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

export interface ReplayData {
  readonly events: number;
  /** Of Millrace's, with the journal in it. */
  readonly dataDirectory: string;
  /** One file of NDJSON for each core, in order of delivery each. */
  readonly recordsDirectory: string;
}

/** Makes a log for each of `sizes`: the first so many records of one stream. */
export async function writeReplayData(directory: string, sizes: readonly number[], cores: number): Promise<readonly ReplayData[]> {
  const eventsMax = Math.max(...sizes);
  const generator = createGenerator({ seed: SEED, startMs: START_MS, ratePerMinute: eventsMax / SPAN_MINUTES, garbageShare: 0, resendShare: RESEND_SHARE });
  let nowMs = START_MS;
  const targets = await Promise.all(sizes.map((events) => openTarget(join(directory, String(events)), events, cores, () => nowMs)));
  for (let made = 0; made < eventsMax; ) {
    const { body, kind, method, dueAtMs } = generator.next();
    if (kind === 'skan' || method !== 'POST') continue;
    const line = Buffer.from(`${body.replaceAll('\n', ' ')}\n`);
    nowMs = dueAtMs;
    for (const target of targets) {
      if (made >= target.data.events) continue;
      target.files[made % cores]?.write(line);
      await target.journal.append(line, 0, line.byteLength - 1);
    }
    made++;
  }
  for (const { files, journal } of targets) {
    for (const file of files) file.close();
    await journal.close();
  }
  return targets.map(({ data }) => data);
}

async function openTarget(directory: string, events: number, cores: number, nowMs: () => number): Promise<{ data: ReplayData; files: readonly BufferedFile[]; journal: BenchJournal }> {
  const data = { events, dataDirectory: join(directory, 'millrace'), recordsDirectory: join(directory, 'records') };
  mkdirSync(data.recordsDirectory, { recursive: true });
  const owner = await openDataDirectory({ path: data.dataDirectory, partitionCount: BENCH_PARTITIONS, segmentBytes: SEGMENT_BYTES_DEFAULT, nowMs: START_MS });
  await owner.release({ clean: true });
  const journal = await openBenchJournal({ directory: directoriesOf(data.dataDirectory).journal, batchRecords: BATCH_RECORDS, nowMs, instance: owner.instance });
  const files = Array.from({ length: cores }, (_, core) => new BufferedFile(join(data.recordsDirectory, `part-${core}.ndjson`)));
  return { data, files, journal };
}

class BufferedFile {
  readonly #descriptor: number;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #length = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'w');
  }

  /** A line that ends with a newline, shorter than the buffer. */
  write(line: Buffer): void {
    if (line.at(-1) !== NEWLINE || line.byteLength > BUFFER_BYTES) throw new Error('bug: no line of NDJSON');
    if (this.#length + line.byteLength > BUFFER_BYTES) this.#flush();
    this.#length += line.copy(this.#buffer, this.#length);
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    for (let at = 0; at < this.#length; ) at += writeSync(this.#descriptor, this.#buffer, at, this.#length - at);
    this.#length = 0;
  }
}
