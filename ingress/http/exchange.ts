/**
 * One request, from its head to its answer: the state machine that both doors drive. A door adds how bytes go out.
 *
 * ```
 *   begin ─▶ receiving ──last byte──▶ (asking, while the directory is) ──▶ waiting ──batches durable or failed──▶ done
 *              │   └──too large, over budget──┐    └──sender gone──▶ gone ──▶ done
 *              └──not welcome──▶ refusing ◀───┘
 *                                 │  └──body ended──▶ done
 *                                 └──much of it is left──▶ lingering (answered; the rest is thrown away) ──▶ done
 * ```
 * A refused body is read and thrown away for a while, because closing a socket with unread bytes in it takes the answer from its
 * sender. A body that arrives whole is appended from the door's own bytes; one in pieces is collected in a pooled buffer, and what it
 * holds is charged to the budget before it is taken. Owned by the ingress thread. Hot path: 100 K requests a second, at most 1.5 µs a request
 * with take, batcher and key search; bench/load/scenarios/peak.ts. One object for each.
 */

import type { EngineError } from '../../engine/core/errors.ts';
import { LATER, type GateWaiter, type RequestHead } from '../access/gate.ts';
import type { PartitionId } from '../../engine/core/types.ts';
import type { BatchMember } from '../batcher.ts';
import type { BodyFormat } from '../costs.ts';
import { BodyBuffers } from './body-buffers.ts';
import type { Deadlined } from './deadlines.ts';
import type { Intake } from './intake.ts';
import { AUTH_UNAVAILABLE, BODY_TIMEOUT, REFUSED, UNSUPPORTED_COSTS_TYPE, UNSUPPORTED_TYPE, commitFailed, type Reply } from './replies.ts';
import type { Route } from './routes.ts';
import { resumeEvents, takeBody, type EventsProgress } from './take.ts';
import { costsFormat } from './take-costs.ts';

/** Charged per request besides its bytes, so that many empty requests are bounded too. Derived: about what the objects take. */
const REQUEST_BYTES = 512;
/** Up to so much of a refused body is awaited in silence, and its connection lives on. Chosen: more than any message. */
const DISCARD_BYTES_MAX = 64 * 1024;
/** A sender that goes on for so long after its refusal is cut. Chosen. */
const LINGER_BYTES_MAX = 64 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);
const LINES_TYPES = new Set(['application/x-ndjson', 'application/ndjson']);
const EVENTS_TYPES = new Set(['', 'application/json', 'text/plain', ...LINES_TYPES]);

const Phase = { receiving: 0, refusing: 1, lingering: 2, asking: 3, waiting: 4, gone: 5, done: 6 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

export abstract class Exchange implements BatchMember, Deadlined, GateWaiter {
  // Of the batcher.
  appending = false;
  batchesPending = 0;
  lastBatch = 0;
  failure: EngineError | null = null;
  // Of the deadline queue.
  before: Deadlined | null = null;
  after: Deadlined | null = null;
  dueAtSweep = 0;

  readonly intake: Intake;
  readonly route: Route;
  /** Of a GET, and of /v1/costs; empty otherwise. */
  query = '';
  /** Of an S2S event: the app that its path names; empty otherwise. */
  appId = '';
  /** Of /v1/events and /v1/costs: what the content type says of the body. */
  format: BodyFormat = 'json';
  /** Of the gate: whose bucket further records are taken from. */
  credentialKey = 0;
  /** Of /v1/events, while records wait for room. */
  progress: EventsProgress | null = null;
  #phase: Phase = Phase.receiving;
  /** The directory is being asked whether the sender may send: the body is kept until it says so. */
  #isAsking = false;
  /** The body in pieces; null while none had to be kept. */
  #body: Buffer | null = null;
  #bodyBytes = 0;
  #discardedBytes = 0;
  #heldBytes = 0;
  #lastByteMs = 0;
  #reply: Reply = REFUSED.BUSY;

  constructor(intake: Intake, route: Route) {
    this.intake = intake;
    this.route = route;
  }

  /** Sends the whole answer. With `close` the connection ends after it, even in the middle of the body. */
  protected abstract send(reply: Reply, close: boolean): void;
  /** Sends the answer while the body is still coming, and leaves the exchange open until {@link endEarly} or {@link cut}. */
  protected abstract sendEarly(reply: Reply): void;
  protected abstract endEarly(): void;
  /** Ends the connection at once; may call {@link aborted} before it returns. */
  protected abstract cut(): void;

  /**
   * The head is complete. `declaredBytes`: -1 when the head does not say. The content headers matter to /v1/events and /v1/costs alone.
   * `requestHead` is asked during the call alone. The door must be ready for an answer before it calls.
   */
  begin(declaredBytes: number, contentType: string, contentEncoding: string, requestHead: RequestHead): void {
    const { intake } = this;
    intake.liveRequests++;
    intake.bodyDeadlines.add(this);
    const unwelcome = this.#unauthorized(requestHead) ?? this.#unwelcome(declaredBytes, contentType, contentEncoding);
    if (unwelcome !== null) this.#refuse(unwelcome, declaredBytes > DISCARD_BYTES_MAX);
    else this.#hold(REQUEST_BYTES);
  }

  /** A piece of the body; `last` may come with no bytes. Copied, unless it is the whole body: then it is used up before the call returns. */
  chunk(bytes: Buffer, last: boolean): void {
    switch (this.#phase) {
      case Phase.receiving:
        this.#receive(bytes, last);
        break;
      case Phase.refusing:
        this.#discardedBytes += bytes.byteLength;
        if (last) this.#answer(this.#reply, false);
        else if (this.#discardedBytes > DISCARD_BYTES_MAX) this.#answerEarly();
        break;
      case Phase.lingering:
        this.#discardedBytes += bytes.byteLength;
        if (last) {
          this.#finish();
          this.endEarly();
        } else if (this.#discardedBytes > LINGER_BYTES_MAX) {
          this.#finish();
          this.cut();
        }
        break;
      case Phase.asking:
      case Phase.waiting:
      case Phase.gone:
      case Phase.done:
        break;
    }
  }

  /** The sender is gone. What it sent whole stays; nobody is answered. */
  aborted(): void {
    if (this.#phase === Phase.done || this.#phase === Phase.gone) return;
    if (this.#phase !== Phase.lingering) this.intake.counters.aborted++;
    if (this.#phase === Phase.waiting) this.#phase = Phase.gone;
    else this.#finish();
  }

  expired(): void {
    switch (this.#phase) {
      case Phase.receiving:
        this.#answer(BODY_TIMEOUT, true);
        break;
      case Phase.asking:
        this.#answer(AUTH_UNAVAILABLE, false);
        break;
      case Phase.refusing:
        this.#answer(this.#reply, true);
        break;
      case Phase.lingering:
        this.#finish();
        this.cut();
        break;
      case Phase.waiting:
      case Phase.gone:
      case Phase.done:
        break;
    }
  }

  /** Puts one record into the journal's open batch; false when there is no room now. */
  append(partition: PartitionId, flags: number, bytes: Buffer, start: number, end: number): boolean {
    const { intake, route } = this;
    if (!intake.batcher.append(this, partition, route.source, flags, bytes, start, end)) return false;
    intake.counters.appended(route.kind, end - start, flags !== 0);
    return true;
  }

  /** Nothing more is appended: `reply` is the answer once all that was is durable, at once when nothing was. */
  conclude(reply: Reply): void {
    this.appending = false;
    this.#reply = reply;
    if (this.batchesPending === 0) this.settled(this.#lastByteMs);
  }

  /** Takes bytes from the budget until the request ends; false when they are not there. */
  charge(bytes: number): boolean {
    return this.#hold(bytes);
  }

  /** Keeps `bytes[0, length)` beyond the call that brought them. Returns where they lie now, or null when the budget is spent. */
  keepBody(bytes: Buffer, length: number): Buffer | null {
    if (this.#body !== null) return this.#body;
    if (!this.#hold(BodyBuffers.sizeFor(length))) return null;
    this.#body = this.intake.buffers.take(length);
    bytes.copy(this.#body, 0, 0, length);
    return this.#body;
  }

  settled(nowMs: number): void {
    if (this.#phase === Phase.gone) {
      this.#finish();
    } else if (this.failure !== null) {
      this.#answer(commitFailed(this.failure), false);
    } else {
      if (this.lastBatch > 0 && this.#reply.status < 500) this.intake.counters.ackLatency.record(nowMs - this.#lastByteMs);
      this.#answer(this.#reply, false);
    }
  }

  resume(): void {
    if (this.#phase === Phase.gone || this.failure !== null) this.conclude(this.#reply);
    else resumeEvents(this);
  }

  /** Before all else, so that who may not send learns nothing but that. Routes with a fixed answer have nothing to guard. */
  #unauthorized(requestHead: RequestHead): Reply | null {
    const { gate } = this.intake;
    if (gate === null || this.route.fixed !== null) return null;
    const refusal = gate.judge(this.route, requestHead, this);
    this.credentialKey = gate.credentialKey;
    this.#isAsking = refusal === LATER;
    return refusal === LATER ? null : refusal;
  }

  judged(refusal: Reply | null, credentialKey: number): void {
    // Answered otherwise meanwhile, or gone.
    if (!this.#isAsking) return;
    this.#isAsking = false;
    this.credentialKey = credentialKey;
    const isWhole = this.#phase === Phase.asking;
    if (refusal !== null && isWhole) this.#answer(refusal, false);
    else if (refusal !== null) this.#refuse(refusal, false);
    else if (isWhole) this.#whole(this.#body ?? NO_BYTES, this.#bodyBytes);
  }

  #unwelcome(declaredBytes: number, contentType: string, contentEncoding: string): Reply | null {
    const { intake, route } = this;
    if (route.fixed !== null) return route.fixed;
    if (declaredBytes > intake.bodyBytesMax[route.kind]) return intake.tooLarge[route.kind];
    const refusal = intake.admission.judge(REQUEST_BYTES + Math.max(0, declaredBytes));
    if (refusal !== null) return REFUSED[refusal];
    if (route.kind === 'push_get' && this.query.length > intake.options.head_bytes_max) return intake.tooLarge.push_get;
    if (route.kind !== 'events') return route.kind === 'costs' ? this.#unwelcomeCosts(contentType, contentEncoding) : null;
    const type = mediaType(contentType);
    if (LINES_TYPES.has(type)) this.format = 'lines';
    return EVENTS_TYPES.has(type) && isPlain(contentEncoding) ? null : UNSUPPORTED_TYPE;
  }

  #unwelcomeCosts(contentType: string, contentEncoding: string): Reply | null {
    const format = costsFormat(mediaType(contentType));
    if (format === undefined || !isPlain(contentEncoding)) return UNSUPPORTED_COSTS_TYPE;
    this.format = format;
    return null;
  }

  #receive(bytes: Buffer, last: boolean): void {
    if (!last) {
      const refusal = this.#collect(bytes);
      // Too large is known to be long; over budget may be short.
      if (refusal !== null) this.#refuse(refusal, refusal !== REFUSED.BUSY);
      return;
    }
    const { route, intake } = this;
    let refusal: Reply | null;
    if (this.#body !== null || this.#isAsking) refusal = this.#collect(bytes);
    else if (bytes.byteLength > intake.bodyBytesMax[route.kind]) refusal = intake.tooLarge[route.kind];
    else refusal = this.#hold(bytes.byteLength) ? null : REFUSED.BUSY;
    if (refusal !== null) this.#answer(refusal, false);
    else if (this.#isAsking) this.#phase = Phase.asking;
    else if (this.#body === null) this.#whole(bytes, bytes.byteLength);
    else this.#whole(this.#body, this.#bodyBytes);
  }

  #whole(bytes: Buffer, length: number): void {
    this.intake.bodyDeadlines.remove(this);
    this.#lastByteMs = this.intake.clock.monotonicMs();
    this.#phase = Phase.waiting;
    takeBody(this, bytes, length);
  }

  /** Adds a piece to the body; the answer instead when it is one too many. */
  #collect(bytes: Buffer): Reply | null {
    const { intake } = this;
    const total = this.#bodyBytes + bytes.byteLength;
    if (total > intake.bodyBytesMax[this.route.kind]) return intake.tooLarge[this.route.kind];
    if (total === 0) return null;
    const size = this.#body === null ? 0 : this.#body.byteLength;
    if (total > size) {
      if (!this.#hold(BodyBuffers.sizeFor(total) - size)) return REFUSED.BUSY;
      const grown = intake.buffers.take(total);
      if (this.#body !== null) {
        this.#body.copy(grown, 0, 0, this.#bodyBytes);
        intake.buffers.give(this.#body);
      }
      this.#body = grown;
    }
    // Its bytes are the door's, and gone when this call returns.
    this.#body?.set(bytes, this.#bodyBytes);
    this.#bodyBytes = total;
    return null;
  }

  /** `atOnce`: the answer does not wait for a body that is known to be long. */
  #refuse(reply: Reply, atOnce: boolean): void {
    this.#phase = Phase.refusing;
    this.#isAsking = false;
    this.#reply = reply;
    this.#letGo();
    if (atOnce) this.#answerEarly();
  }

  #answerEarly(): void {
    const { intake, route } = this;
    intake.counters.answered(route.kind, this.#reply.status, this.#reply.code);
    intake.bodyDeadlines.remove(this);
    intake.lingerDeadlines.add(this);
    this.#discardedBytes = 0;
    this.#phase = Phase.lingering;
    this.sendEarly(this.#reply);
  }

  #answer(reply: Reply, close: boolean): void {
    this.intake.counters.answered(this.route.kind, reply.status, reply.code);
    const closing = close || this.intake.admission.draining;
    this.#finish();
    this.send(reply, closing);
  }

  #finish(): void {
    const { intake } = this;
    (this.#phase === Phase.lingering ? intake.lingerDeadlines : intake.bodyDeadlines).remove(this);
    this.#phase = Phase.done;
    this.#isAsking = false;
    intake.liveRequests--;
    this.#letGo();
  }

  #hold(bytes: number): boolean {
    if (!this.intake.admission.hold(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Gives back the body's buffer and everything charged. */
  #letGo(): void {
    if (this.#body !== null) this.intake.buffers.give(this.#body);
    this.#body = null;
    this.intake.admission.release(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/** Lower case, without parameters. */
function mediaType(contentType: string): string {
  const semicolon = contentType.indexOf(';');
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}

const isPlain = (contentEncoding: string): boolean => contentEncoding === '' || contentEncoding.toLowerCase() === 'identity';
