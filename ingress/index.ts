/**
 * The ingress: events come in over HTTP and are acknowledged once they are durable. Wires door, admission, batcher and counters
 * together; all of it lives on the ingress thread that calls {@link openIngress}.
 */

import { systemClock, type Clock } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import type { AppendRecords } from '../engine/core/own-records.ts';
import type { Partitioner } from '../engine/core/partition-key.ts';
import { Gate, limitMemory, type LimitMemory } from './access/gate.ts';
import { Admission } from './admission.ts';
import { Batcher, type BatchWriter } from './batcher.ts';
import type { CostsPort } from './costs.ts';
import { BodyBuffers } from './http/body-buffers.ts';
import { DeadlineQueue } from './http/deadlines.ts';
import { openDoor } from './http/door.ts';
import { bodyLimits, type Intake, type PortUse } from './http/intake.ts';
import { silentLog, type IngressLog } from './log.ts';
import { appendOwnRecords } from './own-records.ts';
import type { DoorChoice, IngressOptions } from './options.ts';
import { openDirectory } from './access/open-directory.ts';
import { IngressCounters, type IngressStats } from './stats.ts';
import { readTls, WatchedTls } from './tls/tls-files.ts';

export type { BatchWriter } from './batcher.ts';
export type { CostsAnswer, BodyFormat, CostsPort, CostsRequest } from './costs.ts';
export { setHeadBytesMax } from './http/uws.ts';
export { readTokens } from './access/tokens-file.ts';
export { limitMemory, type LimitMemory } from './access/gate.ts';
export type { PortUse } from './http/intake.ts';
export type { IngressLog } from './log.ts';
export { costsBytesMax, ingressOptionsSchema, type DoorChoice, type IngressOptions } from './options.ts';
export type { IngressStats } from './stats.ts';

/** Silence after which the journal gets a tick (DESIGN, "Time is data"). */
const TICK_AFTER_MS = 1_000;
/** Chosen: what a few large bodies need; more is given back to the system. */
const BUFFERS_KEPT_BYTES_MAX = 32 * 1024 * 1024;
const DRAIN_CHECK_INTERVAL_MS = 5;
const DRAIN_TURNS_MAX = 100;
/** A disk that fails fails every batch: one line in so long is enough. */
const FAILURE_LOG_INTERVAL_MS = 5_000;

export interface IngressParts {
  readonly options: IngressOptions;
  readonly door: DoorChoice;
  /** Whether doors of other threads listen on the same port; `alone` unless told. Only uWebSockets.js can share one. */
  readonly port?: PortUse;
  /** Stays the caller's: commit and append nothing beside the ingress while it is open, and close it after {@link Ingress.drain}. */
  readonly writer: BatchWriter;
  readonly partitioner: Partitioner;
  /** Read once per request. */
  readonly diskReserveExhausted: () => boolean;
  /** False while requests must be answered with 503 NOT_READY; open at once when it is not given. */
  readonly isOpen?: () => boolean;
  /** Who takes reports of spend; without it they are answered with 503 NOT_READY. */
  readonly costs?: CostsPort;
  readonly clock: Clock;
  /** Of the rate limits, where several threads share them; own ones unless given. */
  readonly limits?: LimitMemory;
  readonly log?: IngressLog;
  /** Silence after which an empty batch is committed; for tests. */
  readonly tickAfterMs?: number;
}

export interface Ingress {
  readonly door: { readonly kind: 'uws' | 'node'; readonly fallbackReason: string | null; readonly port: number };
  stats(): IngressStats;
  /** Journals a control record in the next batch, before its records. Rejects JOURNAL_WRITE_FAILED or DISK_FULL; it may be tried again. */
  writeControl(bytes: Uint8Array): Promise<void>;
  /** Records of the daemon's own; a drain waits for those that are under way, and further ones are refused. */
  readonly appendRecords: AppendRecords;
  /** Reads tokens and certificate again, at once; they are looked at every two seconds anyhow. */
  readAgain(): void;
  /**
   * Takes no new connections, answers what is in flight and 503 to what else comes, then closes every connection and timer.
   * Resolves with the number of requests that were not answered when the deadline passed. Nothing is committed afterwards.
   */
  drain(deadlineMs: number): Promise<number>;
}

/** What the schema cannot see: files and addresses. Raises CONFIG_INVALID, as opening would. */
export async function checkIngress(options: IngressOptions): Promise<void> {
  readTls(options.tls);
  const directory = await openDirectory(options.auth.ldap, systemClock, silentLog);
  Gate.open({ options, directory, memory: limitMemory(), clock: systemClock, nowNs: () => process.hrtime.bigint(), log: silentLog })?.stop();
}

/** Raises PORT_IN_USE, DOOR_UNAVAILABLE or CONFIG_INVALID. */
export async function openIngress(parts: IngressParts): Promise<Ingress> {
  const { options, writer, clock, log = silentLog } = parts;
  if (!writer.hasRoomFor(options.record_bytes_max)) {
    throw new EngineError('CONFIG_INVALID', `ingest.record_bytes_max: ${options.record_bytes_max} is more than a batch of the journal holds`, { fix: 'lower ingest.record_bytes_max' });
  }
  const tls = readTls(options.tls);
  const directory = await openDirectory(options.auth.ldap, clock, log);
  const gate = Gate.open({ options, directory, memory: parts.limits ?? limitMemory(), clock, nowNs: () => process.hrtime.bigint(), log });
  const batcher = new Batcher({ writer, clock, batchBytesMax: options.batch_bytes_max, tickAfterMs: parts.tickAfterMs ?? TICK_AFTER_MS, onFailure: failureLog(log, clock) });
  const intake: Intake = {
    options,
    port: parts.port ?? 'alone',
    admission: new Admission({ inFlightBytesMax: options.in_flight_bytes_max, isOpen: parts.isOpen ?? (() => true), diskReserveExhausted: parts.diskReserveExhausted }),
    gate,
    tls,
    batcher,
    partitioner: parts.partitioner,
    buffers: new BodyBuffers(BUFFERS_KEPT_BYTES_MAX),
    bodyDeadlines: new DeadlineQueue(options.body_timeout_ms),
    lingerDeadlines: new DeadlineQueue(options.linger_timeout_ms),
    counters: new IngressCounters(),
    clock,
    ...bodyLimits(options),
    costs: parts.costs ?? null,
    costsInFlight: 0,
    liveRequests: 0,
  };
  const stop = (): void => {
    batcher.stop();
    gate?.stop();
    intake.bodyDeadlines.stop();
    intake.lingerDeadlines.stop();
  };
  const door = await openDoor(parts.door, intake, log).catch((error: unknown) => {
    stop();
    throw error;
  });
  const watchedTls = tls === null ? null : new WatchedTls(options.tls, tls, log, (material) => {
    door.renew(material);
  });
  return {
    door: { kind: door.kind, fallbackReason: door.fallbackReason, port: door.port },
    stats: () => ({
      ...batcher.stats(),
      ...intake.counters.snapshot(),
      inFlightRequests: intake.liveRequests,
      inFlightBytes: intake.admission.heldBytes,
      connections: door.connections,
      certificateExpiresAtMs: watchedTls?.expiresAtMs ?? null,
    }),
    writeControl: (bytes) => batcher.writeControl(bytes),
    appendRecords: (source, records) => appendOwnRecords(intake, source, records),
    readAgain: () => {
      gate?.readAgain();
      watchedTls?.readAgain();
    },
    drain: async (deadlineMs) => {
      intake.admission.draining = true;
      watchedTls?.stop();
      door.stopListening();
      const untilMs = clock.monotonicMs() + deadlineMs;
      while (intake.liveRequests > 0 && clock.monotonicMs() < untilMs) await pause(DRAIN_CHECK_INTERVAL_MS);
      const unanswered = intake.liveRequests;
      door.close();
      // What is being committed belongs to the journal: nobody may close it under the batcher.
      while (!batcher.idle) await pause(DRAIN_CHECK_INTERVAL_MS);
      // The others hear of the end of their connections in the next turns of the loop.
      for (let turn = 0; intake.liveRequests > 0 && turn < DRAIN_TURNS_MAX; turn++) await pause(DRAIN_CHECK_INTERVAL_MS);
      stop();
      return unanswered;
    },
  };
}

function failureLog(log: IngressLog, clock: Clock): (error: EngineError) => void {
  let lastMs = -Infinity;
  return (error) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < FAILURE_LOG_INTERVAL_MS) return;
    lastMs = nowMs;
    log.error({ ...error.toRecord() }, 'a batch could not be made durable; its senders were told to send again');
  };
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
