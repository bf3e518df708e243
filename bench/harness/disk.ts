/**
 * The disk by itself, in the same run as every durable figure: no answer can be sooner than the sync it waits for, and a shared disk
 * has a tail of its own. As a program, `disk.js <directory> <seconds>`, it prints them as JSON: slow-sync.ts runs it with the shim.
 */

import { closeSync, fdatasyncSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from './machine.ts';
import { isProgram } from './program.ts';

const FILE_BYTES = 16 * 1024 * 1024;
const WRITE_BYTES = 4_096;
const PAUSE_MS = 2;

export interface DiskFacts {
  readonly syncs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** One 4 KiB write and fdatasync at a time into a zero-filled file, with a pause between, for `seconds`. */
export async function measureDisk(directory: string, seconds: number): Promise<DiskFacts> {
  const path = join(directory, 'disk-alone.bin');
  const descriptor = openSync(path, 'w');
  const tookMs: number[] = [];
  try {
    writeSync(descriptor, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    fsyncSync(descriptor);
    const bytes = Buffer.alloc(WRITE_BYTES, 1);
    const endMs = performance.now() + seconds * 1_000;
    for (let at = 0; performance.now() < endMs; at = (at + WRITE_BYTES) % FILE_BYTES) {
      writeSync(descriptor, bytes, 0, WRITE_BYTES, at);
      const startMs = performance.now();
      fdatasyncSync(descriptor);
      tookMs.push(performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  } finally {
    closeSync(descriptor);
    unlinkSync(path);
  }
  tookMs.sort((left, right) => left - right);
  return { syncs: tookMs.length, p50Ms: percentile(tookMs, 0.5), p99Ms: percentile(tookMs, 0.99), maxMs: tookMs.at(-1) ?? 0 };
}

if (isProgram(import.meta.url)) {
  const [directory = '.', seconds = '1'] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(await measureDisk(directory, Number(seconds)))}\n`);
}
