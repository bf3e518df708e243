/** Wiring of the ingress thread: journal, rules of this start, door, and the timers of both. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { openIngress, type Ingress, type IngressOptions, type IngressStats } from '../ingress/index.ts';
import { systemClock } from './core/clock.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { createPartitioner } from './core/partition-key.ts';
import type { Offset } from './core/types.ts';
import { openJournal, type JournalRecovery, type JournalStats } from './log/index.ts';
import { freePort } from './runtime/free-port.ts';
import { raiseFault } from './threads/fault.ts';
import type { IngressStart, IngressToMain, MainToIngress } from './threads/messages.ts';
import { SharedWords } from './threads/shared-words.ts';
import { heapBytes, insideThread } from './threads/worker.ts';

export interface IngressSettings {
  readonly journalDirectory: string;
  readonly instance: string;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly retentionMs: number;
  readonly journalBytesMax: number;
  readonly door: 'auto' | 'uws' | 'node';
  readonly options: IngressOptions;
}

export interface IngressThreadStats {
  readonly door: IngressStats;
  readonly journal: JournalStats;
  readonly heapBytes: number;
}

const RETAIN_INTERVAL_MS = 5_000;
const STATS_INTERVAL_MS = 500;
const PORT_ATTEMPTS = 5;

const { start, post, onMessage, close } = insideThread<IngressStart<IngressSettings>, IngressToMain<IngressThreadStats, JournalRecovery>, MainToIngress>();
const { settings } = start;
const words = new SharedWords(start.words);

async function run(): Promise<void> {
  const { writer, recovery } = await openJournal({
    directory: settings.journalDirectory,
    instance: settings.instance,
    partitionCount: settings.partitionCount,
    segmentBytes: settings.segmentBytes,
    provenOffset: start.provenOffset as Offset,
    clock: systemClock,
    publish,
  });
  for (const control of start.controls) writer.appendControl(control);
  await writer.commit();
  post({ type: 'opened', durable: writer.durableOffset, oldest: writer.stats().oldestOffset, recovery });

  const ingress = await openOnPort((port) =>
    openIngress({
      options: { ...settings.options, port },
      door: settings.door,
      writer,
      partitioner: createPartitioner(appsflyerPipeline.partitionKey, settings.partitionCount),
      diskReserveExhausted: () => words.diskReserveExhausted,
      clock: systemClock,
    }),
  );
  const postStats = (): void => {
    post({ type: 'stats', stats: { door: ingress.stats(), journal: writer.stats(), heapBytes: heapBytes() } });
  };
  postStats();
  post({ type: 'listening', door: ingress.door.kind, fallbackReason: ingress.door.fallbackReason, port: ingress.door.port, host: settings.options.host });
  const timers = [
    setInterval(postStats, STATS_INTERVAL_MS),
    setInterval(() => {
      // What cannot be deleted now is tried again in a moment; the disk reserve tells when it matters.
      writer.retain({ needOffset: words.neededOffset, maxAgeMs: settings.retentionMs, maxBytes: settings.journalBytesMax, isScarce: words.diskReserveExhausted }).catch(() => undefined);
    }, RETAIN_INTERVAL_MS),
  ];
  onMessage((message) => {
    switch (message.type) {
      case 'control':
        void control(ingress, message.id, message.bytes);
        break;
      case 'fault':
        raiseFault(message.how, 'the ingress thread');
        break;
      case 'drain':
        for (const timer of timers) clearInterval(timer);
        void ingress
          .drain(message.deadlineMs)
          .then(() => writer.close())
          .then(() => {
            postStats();
            post({ type: 'stopped' });
            close();
          }, fail);
        break;
    }
  });
}

let isWakeDue = false;

/** The actors are woken once this turn's senders are answered: on a busy machine whoever is woken takes the core at once. */
function publish(durable: Offset): void {
  words.durableOffset = durable;
  if (isWakeDue) return;
  isWakeDue = true;
  setImmediate(() => {
    isWakeDue = false;
    words.wake();
  });
}

/** On the port that is set or that the thread before this one had; else on a free one, which another process may take first. */
async function openOnPort(open: (port: number) => Promise<Ingress>): Promise<Ingress> {
  const { host, port } = settings.options;
  const fixed = port > 0 ? port : start.port;
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(fixed > 0 ? fixed : await freePort(host));
    } catch (error) {
      if (fixed > 0 || attempt === PORT_ATTEMPTS || !(error instanceof EngineError) || error.code !== 'PORT_IN_USE') throw error;
    }
  }
}

async function control(ingress: Ingress, id: number, bytes: Uint8Array): Promise<void> {
  try {
    await ingress.writeControl(bytes);
    post({ type: 'controlled', id });
  } catch (error) {
    post({ type: 'controlled', id, error: error instanceof EngineError ? error.toRecord() : new EngineError('JOURNAL_WRITE_FAILED', messageOf(error)).toRecord() });
  }
}

function fail(error: unknown): void {
  if (error instanceof EngineError) post({ type: 'failed', error: error.toRecord() });
  setImmediate(() => {
    throw error;
  });
}

run().catch(fail);
