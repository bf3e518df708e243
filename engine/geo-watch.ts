/**
 * The GeoIP file of the configuration, followed while the daemon runs: what is new is copied, journaled as a rule, and in use from there on.
 *
 * A file that cannot be used, or is gone, changes nothing: the last good one stays in use, and the log says why, once. It is looked at by size
 * and time first, and read only where these changed. Main thread.
 */

import { statSync } from 'node:fs';
import { EngineError, messageOf } from './core/errors.ts';
import { readGeoFile } from './runtime/geo-file.ts';
import { adoptGeoFile, countCopies, removeUnneeded, supersedeOthers } from './runtime/geo-files.ts';
import type { Logger } from './runtime/logger.ts';

export const GEO_SETTING = 'enrichment.geoip_file';
/** Copies that wait for the journal to let go of them. Chosen: a file that changes each minute must not fill the disk. */
const COPIES_MAX = 32;

export interface GeoWatchOptions {
  /** '' for none. */
  readonly file: string;
  /** Holds the copies. */
  readonly directory: string;
  readonly log: Logger;
}

export interface GeoJournal {
  /** Journals the rules with this file; resolves once they are durable. */
  readonly change: (hash: string) => Promise<void>;
  /** Of all journals; null while nobody has told. */
  readonly oldestReceivedAtMs: () => number | null;
  /** What log time may have come to. */
  readonly logTimeMs: () => number;
}

export class GeoWatch {
  readonly #options: GeoWatchOptions;
  #seen = '';
  #hash: string | null = null;
  /** Rules that name it are durable. */
  #journaled: string | null = null;
  #told = '';
  #isBusy = false;
  #timer: NodeJS.Timeout | null = null;

  /** Reads and copies the file of this start. Rejects CONFIG_INVALID, DISK_FULL or DATA_DIR_UNUSABLE. */
  static async open(options: GeoWatchOptions): Promise<GeoWatch> {
    const watch = new GeoWatch(options);
    if (options.file !== '') await watch.#adopt();
    return watch;
  }

  private constructor(options: GeoWatchOptions) {
    this.#options = options;
  }

  /** Of the file that rules from now on name; null for none. */
  get hash(): string | null {
    return this.#hash;
  }

  /** Rules that an ingress thread began with are durable; told again for one that was replaced, whose rules may be of a moment before a change. */
  start(journal: GeoJournal, intervalMs: number): void {
    const { directory } = this.#options;
    this.#journaled = this.#timer === null ? this.#hash : null;
    if (this.#timer !== null) return;
    supersedeOthers(directory, this.#hash, journal.logTimeMs());
    this.#timer = setInterval(() => {
      void this.#step(journal);
    }, intervalMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #step(journal: GeoJournal): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const oldest = journal.oldestReceivedAtMs();
      if (oldest !== null) removeUnneeded(this.#options.directory, oldest);
      if (this.#options.file !== '') await this.#follow(journal);
      this.#told = '';
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#isBusy = false;
    }
  }

  async #follow(journal: GeoJournal): Promise<void> {
    const { file, directory, log } = this.#options;
    if (this.#look() !== this.#seen) await this.#adopt();
    const hash = this.#hash;
    if (hash === null || hash === this.#journaled) return;
    // Until then the one before it may be in use still; an ingress thread that starts meanwhile journals the new one too.
    await journal.change(hash);
    this.#journaled = hash;
    supersedeOthers(directory, hash, journal.logTimeMs());
    log.info({ file, hash }, 'the GeoIP file is in use for records from now on');
  }

  /** Takes the file as it is now, unless it is being written still: a whole file stays as it is. */
  async #adopt(): Promise<void> {
    const { file, directory } = this.#options;
    const seen = this.#look();
    const found = await readGeoFile(file, GEO_SETTING);
    if (this.#look() !== seen) return;
    if (found.hash !== this.#hash) {
      if (countCopies(directory) >= COPIES_MAX) throw new EngineError('DISK_FULL', `${COPIES_MAX} copies of GeoIP files are kept for records in the journal`, { where: { path: directory }, fix: 'change the file less often' });
      await adoptGeoFile(directory, found);
      this.#hash = found.hash;
    }
    this.#seen = seen;
  }

  /** Raises where there is none. */
  #look(): string {
    try {
      const { size, mtimeMs, ino } = statSync(this.#options.file);
      return `${size} ${mtimeMs} ${ino}`;
    } catch (error) {
      throw new EngineError('CONFIG_INVALID', `${GEO_SETTING}: ${this.#options.file} cannot be read (${messageOf(error)}): name a file in MaxMind's format (.mmdb), or leave it empty`);
    }
  }

  #tell(error: unknown): void {
    const text = messageOf(error);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.log.warn({ error: text, ...(error instanceof EngineError && { code: error.code, fix: error.fix }) }, 'the GeoIP file cannot be followed: the one before it stays in use');
  }
}
