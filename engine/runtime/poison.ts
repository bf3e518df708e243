/**
 * Poison verdicts: records whose folding has killed a thread too often, rejected as POISON everywhere and for good.
 *
 * Only a death while folding one known record counts against it; disk and store errors never do. Verdicts are synced beside
 * the journal and read before any replay, so that a replay judges as the first run did. A record is named by (batch sequence, index),
 * which survives a rewriting of the journal's tail.
 *
 * A death of the whole process counts against no record, and neither does a heap that is full: records are bounded, so it is the state that
 * fills it (as a store page that cannot be read ends the process), and a replay then ends at about the same innocent record each time.
 * A thread that hangs counts against none either: it may have waited for the disk.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import { writeFileAtomically } from './data-directory.ts';

/** The third death makes it poison. Chosen: one may be chance, two a coincidence. */
const DEATHS_MAX = 3;
const VERDICTS_MAX = 10_000;

export type RecordName = readonly [batchSequence: number, index: number];

export class PoisonList {
  readonly #file: string;
  readonly #verdicts: RecordName[];
  readonly #deaths = new Map<string, number>();

  constructor(directory: string) {
    this.#file = join(directory, 'poison.json');
    this.#verdicts = existsSync(this.#file) ? read(this.#file) : [];
  }

  get verdicts(): readonly RecordName[] {
    return this.#verdicts;
  }

  /** Counts a death while folding `record`; true when that made it poison (and the verdict is on disk). */
  death(record: RecordName): boolean {
    const key = record.join(':');
    const deaths = (this.#deaths.get(key) ?? 0) + 1;
    this.#deaths.set(key, deaths);
    if (deaths < DEATHS_MAX || this.#verdicts.length >= VERDICTS_MAX) return false;
    // On disk first: a verdict that only this process knew would let a replay judge differently. What cannot be written is tried at the next death.
    writeFileAtomically(this.#file, `${JSON.stringify([...this.#verdicts, record])}\n`);
    this.#deaths.delete(key);
    this.#verdicts.push(record);
    return true;
  }
}

function read(file: string): RecordName[] {
  try {
    const verdicts = JSON.parse(readFileSync(file, 'utf8')) as RecordName[];
    if (!Array.isArray(verdicts) || verdicts.some((verdict) => !Array.isArray(verdict) || verdict.length !== 2 || !verdict.every(Number.isSafeInteger))) throw new Error('not a list of [batch sequence, index]');
    return verdicts;
  } catch (error) {
    throw new EngineError('STATE_CORRUPT', `${file} cannot be read: ${messageOf(error)}`, { where: { file }, fix: 'restore it from a savepoint: without it a replay would judge differently' });
  }
}
