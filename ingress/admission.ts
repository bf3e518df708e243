/**
 * Who is let in. Pure: facts in, a named decision out; no socket, no clock.
 *
 * Refused requests are answered before their body is kept, so that what the door holds in memory is bounded by one budget: bodies
 * being received (by the size of their buffers, not by what they declare: a slow client that announces 16 MiB holds 1 KiB) and
 * records that are appended and not yet durable. Owned by the ingress thread. Hot path: 100 K requests a second, at most 100 ns a request;
 * bench/load/scenarios/peak.ts. No allocation.
 */

import { assert } from '../engine/core/types.ts';

/** Why a request is refused with 503, in the order in which reasons are looked at. Senders see the code and resend. */
export const REFUSALS = ['NOT_READY', 'DRAINING', 'DISK_RESERVE', 'BUSY'] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface AdmissionFacts {
  /** False until recovery lets the journal take records. */
  open: boolean;
  draining: boolean;
  diskReserveExhausted: boolean;
  heldBytes: number;
  /** Bytes the request will need: what it declares, or 0 when it does not say. */
  neededBytes: number;
}

/** The decision itself. */
export function refusalFor(facts: Readonly<AdmissionFacts>, inFlightBytesMax: number): Refusal | null {
  if (!facts.open) return 'NOT_READY';
  if (facts.draining) return 'DRAINING';
  if (facts.diskReserveExhausted) return 'DISK_RESERVE';
  if (facts.heldBytes + facts.neededBytes > inFlightBytesMax) return 'BUSY';
  return null;
}

export interface AdmissionOptions {
  readonly inFlightBytesMax: number;
  readonly isOpen: () => boolean;
  readonly diskReserveExhausted: () => boolean;
}

/** Gathers the facts and keeps the budget. */
export class Admission {
  draining = false;
  readonly #options: AdmissionOptions;
  readonly #facts: AdmissionFacts = { open: false, draining: false, diskReserveExhausted: false, heldBytes: 0, neededBytes: 0 };

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get heldBytes(): number {
    return this.#facts.heldBytes;
  }

  /** Null when a request that needs so many bytes may come in. */
  judge(neededBytes: number): Refusal | null {
    const facts = this.#facts;
    facts.open = this.#options.isOpen();
    facts.draining = this.draining;
    facts.diskReserveExhausted = this.#options.diskReserveExhausted();
    facts.neededBytes = neededBytes;
    return refusalFor(facts, this.#options.inFlightBytesMax);
  }

  /** Takes bytes from the budget; false, and nothing taken, when they are not there. */
  hold(bytes: number): boolean {
    if (this.#facts.heldBytes + bytes > this.#options.inFlightBytesMax) return false;
    this.#facts.heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#facts.heldBytes -= bytes;
    assert(this.#facts.heldBytes >= 0, 'more bytes were released than held');
  }
}
