/**
 * The ingress thread of one life: opens the journal, journals the rules, batches what comes; replaced when it dies, as
 * engine/runtime/ingress-supervisor.ts does it.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { diskErrorCode } from '../../engine/core/disk.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { createPartitioner, type Partitioner } from '../../engine/core/partition-key.ts';
import type { Offset } from '../../engine/core/types.ts';
import { openJournal, type JournalWriter } from '../../engine/log/index.ts';
import { Batcher } from '../../ingress/batcher.ts';
import type { LifeParts } from './threads.ts';

const RETAIN_INTERVAL_MS = 1_000;
const RESTART_MS_MAX = 400;
const DEATHS_IN_A_ROW_MAX = 5;

export interface DoorOptions extends LifeParts {
  readonly controls: readonly Uint8Array[];
  readonly neededOffset: () => Offset;
  readonly onOpened: () => void;
  /** Its connections are gone. */
  readonly onClosed: () => void;
}

interface Thread {
  alive: boolean;
  batcher: Batcher | null;
  writer: JournalWriter | null;
}

export class Door {
  readonly partitioner: Partitioner;
  readonly #options: DoorOptions;
  #thread: Thread = { alive: false, batcher: null, writer: null };
  #provenOffset = 0;
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

  start(provenOffset: number): void {
    this.#provenOffset = provenOffset;
    this.#start();
  }

  /** As by a bug. */
  die(): void {
    if (this.#thread.alive && !this.#stopping) this.#ended(this.#thread, null);
  }

  /** Answers what is in flight. */
  async drain(pause: (delayMs: number) => Promise<void>): Promise<void> {
    this.#stopping = true;
    const { batcher, writer } = this.#thread;
    while (batcher !== null && !batcher.idle) await pause(5);
    batcher?.stop();
    await writer?.close();
  }

  #start(): void {
    const thread: Thread = { alive: true, batcher: null, writer: null };
    this.#thread = thread;
    this.#open(thread).catch((error: unknown) => {
      if (!this.#isAlive(thread)) return;
      if (error instanceof EngineError) this.#ended(thread, error);
      else if (diskErrorCode(error) !== '') this.#ended(thread, null);
      else this.#options.onBug(error);
    });
  }

  async #open(thread: Thread): Promise<void> {
    const { world, disk, journal, instance, settings, story, words, controls } = this.#options;
    const { writer } = await openJournal({
      directory: journal,
      instance,
      partitionCount: story.partitionCount,
      segmentBytes: story.segmentBytes,
      batchBytesMax: settings.journalBatchBytesMax,
      slowSyncMs: settings.slowSyncMs,
      provenOffset: Math.max(this.#provenOffset, words.durableOffset) as Offset,
      sparesMax: settings.sparesMax,
      salt: 0x5eed,
      disk: disk.session(() => this.#isAlive(thread)),
      clock: world.clock,
      publish: (end) => {
        if (!this.#isAlive(thread)) return;
        words.durableOffset = end;
        words.wake();
      },
    });
    for (const control of controls) writer.appendControl(control);
    await writer.commit();
    if (!this.#isAlive(thread)) return;
    thread.writer = writer;
    thread.batcher = this.#batcher(thread, writer);
    this.#hasOpened = true;
    this.#deaths = 0;
    if (story.retains) this.#retain(thread, writer);
    this.#options.onOpened();
  }

  #ended(thread: Thread, failure: EngineError | null): void {
    const { world, isAlive, onFatal, onClosed } = this.#options;
    thread.alive = false;
    onClosed();
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
    const { settings, neededOffset } = this.#options;
    this.#schedule(thread, RETAIN_INTERVAL_MS, () => {
      if (this.#stopping) return;
      void writer.retain({ needOffset: neededOffset(), maxAgeMs: settings.retentionMs, maxBytes: 1e9 }).catch(() => undefined);
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
