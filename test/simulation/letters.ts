/** Somebody who sends dead letters again or drops them, through the door of the life at hand: several at once, some of them twice, as the daemon's own work does after a failure. */

import { EngineError } from '../../engine/core/errors.ts';
import { RecordSource, Verdict } from '../../engine/core/record.ts';
import { retriedRecord } from '../../engine/core/retried-record.ts';
import { encodeControl } from '../../engine/core/rules.ts';
import { Admission } from '../../ingress/admission.ts';
import { appendOwnRecords } from '../../ingress/own-records.ts';
import { IngressCounters } from '../../ingress/stats.ts';
import type { Door } from './door.ts';
import type { Life } from './life.ts';

/** Of each partition. */
const LETTERS_MAX = 20;
const RECORD_BYTES_MAX = 64 * 1024;
const IN_FLIGHT_BYTES_MAX = 1024 ** 2;

export interface LetterMisfortune {
  readonly life: Life;
  /** Two dice, at least 0 and below 1: how many, and whose door. */
  readonly extent: number;
  readonly choice: number;
  readonly onBug: (error: unknown) => void;
}

/** Each under its next attempt, and with a large `extent` all of them twice. */
export function retryLetters({ life, extent, choice, onBug }: LetterMisfortune): void {
  const door = openDoor(life, choice);
  if (door === null) return;
  const records = life.threads.actors.flatMap(({ id: partition }) =>
    lettersOf(life, partition, extent).flatMap(({ id, source, retry, bytes, size }) => {
      const isOver = retry !== null && retry.verdict !== Verdict.rejected;
      return isOver || bytes.byteLength < size ? [] : [retriedRecord({ partition, id, source, attempt: (retry?.attempts ?? 0) + 1 }, bytes)];
    }),
  );
  if (records.length === 0) return;
  const { batcher } = door;
  if (batcher === null) return;
  const desk = {
    options: { record_bytes_max: RECORD_BYTES_MAX },
    admission: new Admission({ inFlightBytesMax: IN_FLIGHT_BYTES_MAX, isOpen: () => true, diskReserveExhausted: () => false }),
    batcher,
    partitioner: door.partitioner,
    counters: new IngressCounters(),
    liveRequests: 0,
  };
  for (let copies = extent > 0.5 ? 2 : 1; copies > 0; copies--) appendOwnRecords(desk, RecordSource.retry, records).catch(faultOr(onBug));
}

export function dropLetters({ life, extent, choice, onBug }: LetterMisfortune): void {
  const letters = life.threads.actors.map(({ id }): [number, number[]] => [id, lettersOf(life, id, extent).map((letter) => letter.id)]);
  openDoor(life, choice)?.batcher?.writeControl(encodeControl({ type: 'drop-letters', letters })).catch(faultOr(onBug));
}

/** Null where nobody would be served. */
function openDoor(life: Life, choice: number): Door | null {
  const door = life.doors[Math.floor(choice * life.doors.length)] ?? null;
  return door !== null && door.batcher !== null && life.ready && life.threads.allAlive ? door : null;
}

const lettersOf = (life: Life, partition: number, extent: number) => life.threads.actors.find(({ id }) => id === partition)?.deadLetters(1 + Math.floor(extent * LETTERS_MAX)) ?? [];

const faultOr =
  (onBug: (error: unknown) => void) =>
  (error: unknown): void => {
    if (!(error instanceof EngineError)) onBug(error);
  };
