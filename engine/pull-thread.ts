/** Wiring of the Pull poller's thread: its state file, folder, token, identities, and the questions that it asks the main thread. */

import fs, { existsSync, readFileSync } from 'node:fs';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { Poller, type BackfillRequest, type IdentityFacts, type KnownQuestion, type PullFigures, type PullOptions, type PullPorts } from '../ingress/pull/index.ts';
import { systemClock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import type { AppendedRecords } from './core/own-records.ts';
import { RecordSource } from './core/record.ts';
import { readSettingFile } from './core/setting-file.ts';
import { freeBytes, writeFileAtomically } from './runtime/data-directory.ts';
import { PendingAnswers } from './runtime/pending-answers.ts';
import { giveWay, Niceness } from './threads/niceness.ts';
import type { MainToPull, PullToMain } from './threads/pull-messages.ts';
import { insideThread } from './threads/worker.ts';

export interface PullStart {
  readonly options: PullOptions;
  readonly identity: IdentityFacts;
  readonly dataDirectory: string;
  readonly stateFile: string;
  readonly directory: string;
  readonly reserveBytes: number;
}

const FIGURES_INTERVAL_MS = 500;
const TOKEN_BYTES_MAX = 4_000;
const TOKEN_FILE_BYTES_MAX = 64 * 1024;
const ID_BYTES = 16;

giveWay(Niceness.pool);

const { start, post, onMessage, close } = insideThread<PullStart, PullToMain<PullFigures, KnownQuestion>, MainToPull<BackfillRequest>>();
const appends = new PendingAnswers<AppendedRecords>();
const questions = new PendingAnswers<{ readonly known: Uint8Array | null }>();
const words = new Uint32Array(4);

const ports: PullPorts = {
  clock: systemClock,
  random: () => Math.random(),
  pause,
  append: (records) => {
    const { bytes, ends } = packed(records);
    return appends.ask((id) => {
      post({ type: 'append', id, bytes, ends }, [bytes.buffer, ends.buffer]);
    });
  },
  known: async (question) => {
    const { known } = await questions.ask((id) => {
      post({ type: 'known', id, question });
    });
    return known;
  },
  identify,
  state: {
    read: () => (existsSync(start.stateFile) ? readFileSync(start.stateFile, 'utf8') : null),
    write: (text) => {
      writeFileAtomically(start.stateFile, text);
    },
  },
  token,
  directory: start.directory,
  hasRoom: () => freeBytes(start.dataDirectory) >= start.reserveBytes,
  log: (level, facts, text) => {
    post({ type: 'log', level, facts, text });
  },
};

let poller: Poller | null = null;
try {
  poller = new Poller({ options: start.options, identity: start.identity, ports });
  poller.start();
} catch (error) {
  if (!(error instanceof EngineError)) throw error;
  post({ type: 'failed', error: error.toRecord() });
}

const figures = setInterval(postFigures, FIGURES_INTERVAL_MS);
onMessage(receive);
postFigures();

function postFigures(): void {
  if (poller !== null) post({ type: 'figures', figures: poller.figures() });
}

function receive(message: MainToPull<BackfillRequest>): void {
  switch (message.type) {
    case 'appended':
      appends.settle(message);
      break;
    case 'known':
      questions.settle(message);
      break;
    case 'backfill':
      begin(message.id, message.request);
      break;
    case 'stop':
      clearInterval(figures);
      void (poller?.stop() ?? Promise.resolve()).finally(close);
      // What waits for an answer that main no longer gives would hold the stop up.
      appends.failAll(new EngineError('DOOR_CLOSED', 'the daemon is shutting down'));
      questions.failAll(new EngineError('SINK_UNAVAILABLE', 'the daemon is shutting down'));
      break;
  }
}

function begin(id: number, request: BackfillRequest): void {
  try {
    if (poller === null) throw new EngineError('NOT_READY', 'the Pull poller has not started', { fix: 'look into the log of the daemon' });
    const keys = poller.backfill(request);
    postFigures();
    post({ type: 'begun', id, answer: { keys } });
  } catch (error) {
    post({ type: 'begun', id, answer: { error: EngineError.recordOf(error, 'NOT_READY') } });
  }
}

/** Copied: the message takes its buffer along. */
function packed(records: readonly Uint8Array[]): { bytes: Uint8Array<ArrayBuffer>; ends: Uint32Array<ArrayBuffer> } {
  const ends = new Uint32Array(records.length);
  let size = 0;
  records.forEach((record, index) => {
    size += record.byteLength;
    ends[index] = size;
  });
  const bytes = new Uint8Array(size);
  records.forEach((record, index) => {
    bytes.set(record, index === 0 ? 0 : (ends[index - 1]));
  });
  return { bytes, ends };
}

/** As the lake writes `event_id`, in bytes; poller and `check` see to it that the mode is the one with whole seconds. */
function identify(record: Uint8Array, out: Uint8Array, at: number): boolean {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const event = appsflyerPipeline.decode(bytes, 0, bytes.length, RecordSource.pull, systemClock.nowMs());
  if (typeof event === 'string' || !appsflyerPipeline.fingerprint(event, 'push+pull-seconds', words)) return false;
  const view = new DataView(out.buffer, out.byteOffset + at, ID_BYTES);
  for (let index = 0; index < words.length; index++) view.setUint32(4 * index, words[index] as number, true);
  return true;
}

function token(): string {
  const { token: given, token_file: file } = start.options;
  if (given !== '') return given;
  const text = readSettingFile(fs, { setting: 'pull.token_file', file, bytesMax: TOKEN_FILE_BYTES_MAX }).toString('utf8').trim();
  // Never shown: not even what is wrong with it.
  if (text === '' || text.length > TOKEN_BYTES_MAX || /[^\x21-\x7e]/.test(text)) throw new EngineError('CONFIG_INVALID', `pull.token_file: ${file} must hold the token alone, in printable ASCII`);
  return text;
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}
