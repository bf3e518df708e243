/** What all requests of a door share: limits, budget, batcher, buffers, deadlines, counters. One per ingress thread. */

import type { Clock } from '../../engine/core/clock.ts';
import type { Partitioner } from '../../engine/core/partition-key.ts';
import type { Gate } from '../access/gate.ts';
import type { Admission } from '../admission.ts';
import type { Batcher } from '../batcher.ts';
import type { CostsPort } from '../costs.ts';
import { costsBytesMax, type IngressOptions } from '../options.ts';
import type { IngressCounters } from '../stats.ts';
import type { TlsMaterial } from '../tls/tls-files.ts';
import type { BodyBuffers } from './body-buffers.ts';
import type { DeadlineQueue } from './deadlines.ts';
import { bodyTooLarge, type Reply } from './replies.ts';
import type { RouteKind } from './routes.ts';

/** `alone`: nobody else listens there. `first`: nobody did; doors of this process follow. `joins`: a door of this process listens there. */
export type PortUse = 'alone' | 'first' | 'joins';

export interface Intake {
  readonly options: IngressOptions;
  readonly port: PortUse;
  readonly admission: Admission;
  /** Null where anybody may send. */
  readonly gate: Gate | null;
  /** With which the door opens; null where it speaks plain HTTP. */
  readonly tls: TlsMaterial | null;
  readonly batcher: Batcher;
  readonly partitioner: Partitioner;
  readonly buffers: BodyBuffers;
  /** For bodies that are being received. */
  readonly bodyDeadlines: DeadlineQueue;
  /** For refused bodies that are being thrown away. */
  readonly lingerDeadlines: DeadlineQueue;
  readonly counters: IngressCounters;
  readonly clock: Clock;
  readonly bodyBytesMax: Readonly<Record<RouteKind, number>>;
  readonly tooLarge: Readonly<Record<RouteKind, Reply>>;
  /** Null where nobody keeps spend. */
  readonly costs: CostsPort | null;
  /** Reports of spend that are with it. */
  costsInFlight: number;
  /** Requests that have begun and not ended. */
  liveRequests: number;
}

/** The limits of each route's body, and the answers to what is above them. */
export function bodyLimits(options: IngressOptions): Pick<Intake, 'bodyBytesMax' | 'tooLarge'> {
  const { record_bytes_max: push, events_bytes_max: events } = options;
  const costs = costsBytesMax(options);
  return {
    bodyBytesMax: { push, push_get: 0, s2s: push, events, costs, other: 0 },
    tooLarge: { push: bodyTooLarge(push), push_get: bodyTooLarge(0), s2s: bodyTooLarge(push), events: bodyTooLarge(events), costs: bodyTooLarge(costs), other: bodyTooLarge(0) },
  };
}
