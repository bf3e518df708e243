/**
 * Wiring of one ingress thread: its journal, rules of this start, door, and the timers of both. The first thread also keeps the journals
 * that no thread writes any more.
 *
 * Nothing is written before main says `begin`: the order of batches starts above what all journals hold, and the first records come after the rules.
 */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { openIngress, type CostsAnswer, type CostsPort, type Ingress, type IngressLog, type IngressOptions, type IngressStats, type LimitMemory, type PortUse } from '../ingress/index.ts';
import { systemClock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import { createPartitioner } from './core/partition-key.ts';
import type { Offset } from './core/types.ts';
import { openJournal, sealJournal, type JournalRecovery, type JournalStats, type JournalWriter, type SealedJournal } from './log/index.ts';
import { freePort } from './runtime/free-port.ts';
import { raiseFault } from './threads/fault.ts';
import { journalOrder } from './threads/log-order.ts';
import type { IngressBegin, IngressStart, IngressToMain, MainToIngress } from './threads/messages.ts';
import { SharedWords } from './threads/shared-words.ts';
import { heapBytes, insideThread } from './threads/worker.ts';

export interface IngressSettings {
  /** By journal, those without a thread included. */
  readonly journalDirectories: readonly string[];
  readonly instance: string;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly retentionMs: number;
  /** Of each journal. */
  readonly journalBytesMax: number;
  readonly door: 'auto' | 'uws' | 'node';
  /** Bounds are this thread's share of what is set. */
  readonly options: IngressOptions;
  /** Of the rate limits, which all threads share. */
  readonly limits: LimitMemory;
}

export interface IngressThreadStats {
  readonly door: IngressStats;
  readonly journal: JournalStats;
  /** Of journals that no thread writes any more. */
  readonly sealed: readonly SealedFigures[];
  readonly heapBytes: number;
}

export interface SealedFigures {
  readonly journal: number;
  readonly endOffset: number;
  readonly oldestReceivedAtMs: number;
  readonly bytesOnDisk: number;
  readonly segments: number;
}

const RETAIN_INTERVAL_MS = 5_000;
const STATS_INTERVAL_MS = 500;
const PORT_ATTEMPTS = 5;

const { start, post, onMessage, close } = insideThread<IngressStart<IngressSettings>, IngressToMain<IngressThreadStats, JournalRecovery>, MainToIngress>();
const { settings } = start;
const words = new SharedWords(start.words);

interface Sealed {
  readonly number: number;
  readonly journal: SealedJournal;
}

let ingress: Ingress | null = null;
let writer: JournalWriter | null = null;
let sealed: readonly Sealed[] = [];
let timers: readonly NodeJS.Timeout[] = [];
/** Set while the thread has nothing to do but to wait for it. */
let begin: ((how: IngressBegin) => void) | null = null;
/** Asked for before the door was open. */
let drainMs: number | null = null;

/** Reports of spend that main has not answered, by id. */
const costsAsked = new Map<number, (answer: CostsAnswer) => void>();
let nextCosts = 1;

const costs: CostsPort = (report) =>
  new Promise((resolve) => {
    const id = nextCosts++;
    costsAsked.set(id, resolve);
    post({ type: 'costs', id, report }, [report.body.buffer as ArrayBuffer]);
  });

async function run(): Promise<void> {
  onMessage(receive);
  const opened = await openJournal({ ...journalOptions(start.thread), publish });
  writer = opened.writer;
  sealed = await sealOthers();
  post({ type: 'opened', recoveries: [opened.recovery, ...sealed.map(({ journal }) => journal.recovery)] });
  const how = await new Promise<IngressBegin>((resolve) => {
    begin = resolve;
    if (drainMs !== null) leave();
  });
  begin = null;
  // The first thread's batch carries the rules; without any it is a tick, and the journal's figures begin at it.
  for (const control of how.controls) writer.appendControl(control);
  await writer.commit();
  post({ type: 'begun' });
  ingress = await openOnPort(how, writer);
  postStats();
  post({ type: 'listening', door: ingress.door.kind, fallbackReason: ingress.door.fallbackReason, port: ingress.door.port, host: settings.options.host });
  timers = [setInterval(postStats, STATS_INTERVAL_MS), setInterval(retain, RETAIN_INTERVAL_MS)];
  if (drainMs !== null) leave();
}

function journalOptions(journal: number): Omit<Parameters<typeof sealJournal>[0], 'publish'> {
  return {
    directory: settings.journalDirectories[journal] as string,
    instance: settings.instance,
    partitionCount: settings.partitionCount,
    segmentBytes: settings.segmentBytes,
    provenOffset: (start.provenOffsets[journal] ?? 0) as Offset,
    order: journalOrder(words, journal),
    clock: systemClock,
  };
}

async function sealOthers(): Promise<readonly Sealed[]> {
  const found: Sealed[] = [];
  if (start.thread > 0) return found;
  for (let number = start.threads; number < words.journals; number++) {
    const journal = await sealJournal({
      ...journalOptions(number),
      publish: (durable) => {
        words.setDurable(number, durable);
        words.wake();
      },
    });
    found.push({ number, journal });
  }
  return found;
}

function receive(message: MainToIngress): void {
  switch (message.type) {
    case 'begin':
      begin?.(message);
      break;
    case 'control':
      if (ingress !== null) void control(ingress, message.id, message.bytes);
      else post({ type: 'controlled', id: message.id, error: new EngineError('NOT_READY', 'the journal is being opened').toRecord() });
      break;
    case 'append-records':
      void appendRecords(ingress, message);
      break;
    case 'read-again':
      ingress?.readAgain();
      break;
    case 'costs-answered':
      costsAsked.get(message.id)?.(message.answer);
      costsAsked.delete(message.id);
      break;
    case 'fault':
      raiseFault(message.how, 'the ingress thread');
      break;
    case 'drain':
      drainMs = message.deadlineMs;
      // While a journal or the door is being opened, the end of that leaves.
      if (ingress !== null || begin !== null) leave();
      break;
  }
}

function leave(): void {
  for (const timer of timers) clearInterval(timer);
  const drained = ingress?.drain(drainMs as number) ?? Promise.resolve();
  void drained
    .then(() => Promise.all([writer?.close(), ...sealed.map(({ journal }) => journal.close())]))
    .then(() => {
      postStats();
      post({ type: 'stopped' });
      close();
    })
    .catch(fail);
}

function postStats(): void {
  if (ingress === null || writer === null) return;
  const figures = sealed.map(({ number, journal: { oldestReceivedAtMs, bytesOnDisk, segments } }) => ({ journal: number, endOffset: words.durableOf(number), oldestReceivedAtMs, bytesOnDisk, segments }));
  post({ type: 'stats', stats: { door: ingress.stats(), journal: writer.stats(), sealed: figures, heapBytes: heapBytes() } });
}

function retain(): void {
  const limits = { maxAgeMs: settings.retentionMs, maxBytes: settings.journalBytesMax, isScarce: words.diskReserveExhausted };
  // What cannot be deleted now is tried again in a moment; the disk reserve tells when it matters.
  writer?.retain({ ...limits, needOffset: words.neededOf(start.thread) }).catch(() => undefined);
  for (const { number, journal } of sealed) journal.retain({ ...limits, needOffset: words.neededOf(number) }).catch(() => undefined);
}

/** The daemon's log is main's: lines travel there. Few by nature. */
const log: IngressLog = {
  info: (fields, text) => {
    post({ type: 'log', level: 'info', fields: { ...fields }, text });
  },
  warn: (fields, text) => {
    post({ type: 'log', level: 'warn', fields: { ...fields }, text });
  },
  error: (fields, text) => {
    post({ type: 'log', level: 'error', fields: { ...fields }, text });
  },
};

let isWakeDue = false;

/** The actors are woken once this turn's senders are answered: on a busy machine whoever is woken takes the core at once. */
function publish(durable: Offset): void {
  words.setDurable(start.thread, durable);
  if (isWakeDue) return;
  isWakeDue = true;
  setImmediate(() => {
    isWakeDue = false;
    words.wake();
  });
}

/** On the port that is set or that the door before this one had; else on a free one, which another process may take first. */
async function openOnPort(how: IngressBegin, journal: JournalWriter): Promise<Ingress> {
  const { host, port } = settings.options;
  const fixed = port > 0 ? port : how.port;
  const use: PortUse = start.threads === 1 ? 'alone' : how.joins ? 'joins' : 'first';
  const open = (at: number): Promise<Ingress> =>
    openIngress({
      options: { ...settings.options, port: at },
      port: use,
      door: settings.door,
      writer: journal,
      partitioner: createPartitioner(appsflyerPipeline.partitionKey, settings.partitionCount),
      diskReserveExhausted: () => words.diskReserveExhausted,
      costs,
      clock: systemClock,
      limits: settings.limits,
      log,
    });
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(fixed > 0 ? fixed : await freePort(host));
    } catch (error) {
      if (fixed > 0 || attempt === PORT_ATTEMPTS || !(error instanceof EngineError) || error.code !== 'PORT_IN_USE') throw error;
    }
  }
}

async function control(door: Ingress, id: number, bytes: Uint8Array): Promise<void> {
  try {
    await door.writeControl(bytes);
    post({ type: 'controlled', id });
  } catch (error) {
    post({ type: 'controlled', id, error: EngineError.recordOf(error, 'JOURNAL_WRITE_FAILED') });
  }
}

async function appendRecords(door: Ingress | null, { id, source, records }: Extract<MainToIngress, { type: 'append-records' }>): Promise<void> {
  try {
    if (door === null) throw new EngineError('DOOR_CLOSED', 'the ingress thread is starting');
    post({ type: 'appended', id, answer: await door.appendRecords(source, records) });
  } catch (error) {
    post({ type: 'appended', id, answer: { error: EngineError.recordOf(error, 'JOURNAL_WRITE_FAILED') } });
  }
}

function fail(error: unknown): void {
  if (error instanceof EngineError) post({ type: 'failed', error: error.toRecord() });
  setImmediate(() => {
    throw error;
  });
}

run().catch(fail);
