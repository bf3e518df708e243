/**
 * One ingress thread of a life: opens its journal, waits for the others, journals the rules if it is the first, batches what comes; replaced when it
 * dies, as engine/runtime/ingress-supervisor.ts does it.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { diskErrorCode } from '../../engine/core/disk.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { createPartitioner, type Partitioner } from '../../engine/core/partition-key.ts';
import type { Offset } from '../../engine/core/types.ts';
import { openJournal, sealJournal, type JournalWriter, type SealedJournal } from '../../engine/log/index.ts';
import { Batcher } from '../../ingress/batcher.ts';
import type { LifeParts } from './threads.ts';
import { forever, orderOf } from './words.ts';

const RETAIN_INTERVAL_MS = 1_000;
const RESTART_MS_MAX = 400;
const DEATHS_IN_A_ROW_MAX = 5;

export interface DoorOptions extends LifeParts {
  /** Its number, and its journal's. */
  readonly number: number;
  /** Of the first one alone. */
  readonly controls: readonly Uint8Array[];
  readonly neededOf: (journal: number) => Offset;
  /** Its journal is open, and it waits for {@link Door.begin}. */
  readonly onOpened: () => void;
  readonly onBegun: () => void;
  /** The connections to this batcher are gone. */
  readonly onClosed: (batcher: Batcher | null) => void;
}

interface Thread {
  alive: boolean;
  batcher: Batcher | null;
  writer: JournalWriter | null;
  /** Of the first one: journals without a thread, from this number on. */
  sealed: readonly SealedJournal[];
  /** While it waits. */
  begin: (() => void) | null;
}

export class Door {
  readonly partitioner: Partitioner;
  readonly #options: DoorOptions;
  #thread: Thread = { alive: false, batcher: null, writer: null, sealed: [], begin: null };
  #provenOffsets: readonly number[] = [];
  #deaths = 0;
  #hasOpened = false;
  #stopping = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.partitioner = createPartitioner(appsflyerPipeline.partitionKey, options.story.partitionCount);
  }

  /** Null while the door answers nobody. */
  get batcher(): Batcher | null {
    return this.#thread.alive && !this.#stopping ? this.#thread.batcher : null;
  }

  get writer(): JournalWriter | null {
    return this.#thread.writer;
  }

  get sealed(): readonly SealedJournal[] {
    return this.#thread.sealed;
  }

  /** By journal. */
  start(provenOffsets: readonly number[]): void {
    this.#provenOffsets = provenOffsets;
    this.#start();
  }

  /** The journals of all doors are open, and the rules are written. */
  begin(): void {
    this.#thread.begin?.();
    this.#thread.begin = null;
  }

  /** As by a bug. */
  die(): void {
    if (this.#thread.alive && !this.#stopping) this.#ended(this.#thread, null);
  }

  /** Answers what is in flight. */
  async drain(pause: (delayMs: number) => Promise<void>): Promise<void> {
    this.#stopping = true;
    const { batcher, writer, sealed } = this.#thread;
    while (batcher !== null && !batcher.idle) await pause(5);
    batcher?.stop();
    await writer?.close();
    for (const journal of sealed) await journal.close();
  }

  #start(): void {
    const thread: Thread = { alive: true, batcher: null, writer: null, sealed: [], begin: null };
    this.#thread = thread;
    this.#open(thread).catch((error: unknown) => {
      if (!this.#isAlive(thread)) return;
      if (error instanceof EngineError) this.#ended(thread, error);
      else if (diskErrorCode(error) !== '') this.#ended(thread, null);
      else this.#options.onBug(error);
    });
  }

  async #open(thread: Thread): Promise<void> {
    const { number, settings, story, journals, controls, onOpened, onBegun } = this.#options;
    const { writer } = await openJournal(this.#journal(thread, number));
    if (number === 0) for (let other = settings.ingresses; other < journals.length; other++) thread.sealed = [...thread.sealed, await sealJournal(this.#journal(thread, other))];
    if (!this.#isAlive(thread)) return;
    await new Promise<void>((resolve) => {
      thread.begin = resolve;
      onOpened();
    });
    if (!this.#isAlive(thread)) await forever();
    for (const control of controls) writer.appendControl(control);
    await writer.commit();
    if (!this.#isAlive(thread)) return;
    thread.writer = writer;
    thread.batcher = this.#batcher(thread, writer);
    this.#hasOpened = true;
    this.#deaths = 0;
    if (story.retains) this.#retain(thread, writer);
    onBegun();
  }

  #journal(thread: Thread, number: number): Parameters<typeof sealJournal>[0] & Parameters<typeof openJournal>[0] {
    const { world, disk, journals, instance, settings, story, words } = this.#options;
    const isAlive = (): boolean => this.#isAlive(thread);
    return {
      directory: journals[number] as string,
      instance,
      partitionCount: story.partitionCount,
      segmentBytes: story.segmentBytes,
      batchBytesMax: settings.journalBatchBytesMax,
      slowSyncMs: settings.slowSyncMs,
      provenOffset: Math.max(this.#provenOffsets[number] ?? 0, words.journals.durableOf(number)) as Offset,
      order: orderOf(words, number, isAlive),
      sparesMax: settings.sparesMax,
      salt: 0x5eed,
      disk: disk.session(isAlive),
      clock: world.clock,
      publish: (end) => {
        if (!isAlive()) return;
        words.journals.setDurable(number, end);
        words.wake();
      },
    };
  }

  #ended(thread: Thread, failure: EngineError | null): void {
    const { world, isAlive, onFatal, onClosed } = this.#options;
    thread.alive = false;
    onClosed(thread.batcher);
    const isPatient = this.#hasOpened && failure !== null;
    if ((failure !== null && !failure.retryable) || (++this.#deaths > DEATHS_IN_A_ROW_MAX && !isPatient)) {
      onFatal(failure ?? new EngineError('THREAD_DIED', 'the ingress thread ended too often'));
      return;
    }
    void world.schedule(world.pick(1, RESTART_MS_MAX), () => {
      if (isAlive() && !this.#stopping) this.#start();
    });
  }

  #isAlive(thread: Thread): boolean {
    return thread.alive && this.#options.isAlive();
  }

  #batcher(thread: Thread, writer: JournalWriter): Batcher {
    const { settings, world } = this.#options;
    return new Batcher({
      writer,
      clock: world.clock,
      batchBytesMax: settings.batchBytesMax,
      tickAfterMs: settings.tickAfterMs,
      onFailure: () => undefined,
      timers: {
        soon: (callback) => void this.#schedule(thread, 0, callback),
        after: (delayMs, callback) => this.#schedule(thread, delayMs, callback),
      },
    });
  }

  #retain(thread: Thread, writer: JournalWriter): void {
    const { number, settings, neededOf } = this.#options;
    this.#schedule(thread, RETAIN_INTERVAL_MS, () => {
      if (this.#stopping) return;
      const limits = { maxAgeMs: settings.retentionMs, maxBytes: 1e9 };
      void writer.retain({ ...limits, needOffset: neededOf(number) }).catch(() => undefined);
      thread.sealed.forEach((journal, at) => void journal.retain({ ...limits, needOffset: neededOf(settings.ingresses + at) }).catch(() => undefined));
      this.#retain(thread, writer);
    });
  }

  #schedule(thread: Thread, delayMs: number, callback: () => void): () => void {
    const { world, onBug } = this.#options;
    return world.schedule(delayMs, () => {
      if (!this.#isAlive(thread)) return;
      try {
        callback();
      } catch (error) {
        onBug(error);
      }
    });
  }
}
