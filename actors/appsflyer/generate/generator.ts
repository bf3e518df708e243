/**
 * An endless, faithful stream of AppsFlyer Push messages from a seed: all message types, resends, disorder, refunds, double
 * attribution, organic, both platforms, several currencies, and a settable share of garbage.
 *
 * Message i is the same on every machine and in every run. Memory is bounded by what is still to be resent (numbers, not bodies).
 * Pure: time comes in. The facts are APPSFLYER's own, sections 1.2 to 1.7 of the data contracts.
 */

import type { Effect } from './effect.ts';
import { MessageMaker, type Message, type Part } from './message.ts';
import { Random, Stream } from './random.ts';
import { Schedule, type Delivery } from './schedule.ts';
import { World } from './world.ts';

const MS_PER_MINUTE = 60_000;
const RESENDS_MAX = 4;
/** A resend comes at once (a slow answer counted as a failure) or in AppsFlyer's steps of a quarter of an hour. */
const SOON_SHARE = 0.6;
const SOON_MS_MIN = 2_000;
const SOON_MS_MAX = 30_000;
const STEP_MS = 15 * MS_PER_MINUTE;
/** The copy for the original source follows within this time. */
const SECONDARY_MS_MAX = 3_000;

export interface GeneratorOptions {
  readonly seed: number;
  /** Messages are due at this rate, resends on top; default 100,000. */
  readonly ratePerMinute?: number;
  readonly apps?: number;
  readonly campaigns?: number;
  /** Users before the first install; default 100,000. */
  readonly users?: number;
  /** When the first message is due; whole epoch ms. Event times lie up to two days before. */
  readonly startMs: number;
  /** Share of garbage, 0 to 1; default 0.001. */
  readonly garbageShare?: number;
  /** Share of messages that are sent again, one to four times; default 0.01. */
  readonly resendShare?: number;
  /** Messages are due, and their event times lie before, the `nowMs` given to {@link Generator.next}, not a time of their own. */
  readonly followsClock?: boolean;
}

export interface GeneratedMessage {
  /** JSON text for POST; the query, without `?`, for GET. */
  readonly body: string;
  readonly method: 'POST' | 'GET';
  /** AppsFlyer's message type, `skan`, or `garbage`. */
  readonly kind: string;
  readonly eventTimeMs: number;
  readonly dueAtMs: number;
  /** 1 for the first sending; a resend has the same bytes. */
  readonly attempt: number;
  /** What it must come out as. */
  readonly effect: Effect;
}

export interface Generator extends Iterable<GeneratedMessage> {
  /** The next message, in order of `dueAtMs`. `nowMs` (epoch ms, never falling) is needed when the generator follows the clock. */
  next(nowMs?: number): GeneratedMessage;
}

export function createGenerator(options: GeneratorOptions): Generator {
  return new SeededGenerator({ ratePerMinute: 100_000, apps: 4, campaigns: 40, users: 100_000, garbageShare: 0.001, resendShare: 0.01, followsClock: false, ...options });
}

const DUPLICATE: Effect = { verdict: 'duplicate' };

class SeededGenerator implements Generator {
  readonly #options: Required<GeneratorOptions>;
  readonly #intervalMs: number;
  readonly #maker: MessageMaker;
  readonly #schedule = new Schedule();
  readonly #random = new Random(0, Stream.delivery, 0);
  #action = 0;

  constructor(options: Required<GeneratorOptions>) {
    const { apps, campaigns, users, ratePerMinute } = options;
    if (!(apps >= 1 && campaigns >= 1 && users >= 1 && ratePerMinute > 0)) throw new RangeError('a generator needs a rate, an app, a campaign and a user at least');
    this.#options = options;
    this.#intervalMs = MS_PER_MINUTE / ratePerMinute;
    this.#maker = new MessageMaker({ ...options, intervalMs: this.#intervalMs }, new World(options));
  }

  next(nowMs?: number): GeneratedMessage {
    const { followsClock, startMs } = this.#options;
    if (followsClock && nowMs === undefined) throw new TypeError('a generator that follows the clock is told the time with each call');
    const freshMs = followsClock && nowMs !== undefined ? Math.floor(nowMs) : startMs + Math.floor(this.#action * this.#intervalMs);
    const isLater = this.#schedule.nextDueMs <= freshMs;
    const delivery = (isLater ? this.#schedule.take() : undefined) ?? { dueAtMs: freshMs, action: this.#action++, baseMs: freshMs, part: 'primary', attempt: 1 };
    const message = this.#maker.make(delivery.action, delivery.baseMs, delivery.part);
    if (delivery.attempt === 1) this.#planMore(delivery, message);
    return {
      body: message.body,
      method: message.method,
      kind: message.kind,
      eventTimeMs: message.eventTimeMs,
      dueAtMs: delivery.dueAtMs,
      attempt: delivery.attempt,
      effect: delivery.attempt === 1 ? message.effect : DUPLICATE,
    };
  }

  *[Symbol.iterator](): Iterator<GeneratedMessage> {
    for (;;) yield this.next();
  }

  /** Plans the second copy of a doubly attributed event, and resends. Garbage is not sent again: 400 ends it. */
  #planMore(delivery: Delivery, { hasSecondary, effect }: Message): void {
    const random = this.#random;
    random.reset(this.#options.seed, Stream.delivery, delivery.action * 2 + (delivery.part === 'secondary' ? 1 : 0));
    if (hasSecondary) this.#plan(delivery, random.between(1, SECONDARY_MS_MAX), 'secondary', 1);
    if (effect.verdict !== 'counted' || !random.chance(this.#options.resendShare)) return;
    if (random.chance(SOON_SHARE)) {
      this.#plan(delivery, random.between(SOON_MS_MIN, SOON_MS_MAX), delivery.part, 2);
      return;
    }
    const resends = random.between(1, RESENDS_MAX);
    for (let resend = 1; resend <= resends; resend++) this.#plan(delivery, resend * STEP_MS, delivery.part, resend + 1);
  }

  #plan({ dueAtMs, action, baseMs }: Delivery, delayMs: number, part: Part, attempt: number): void {
    this.#schedule.add({ dueAtMs: dueAtMs + delayMs, action, baseMs, part, attempt });
  }
}
