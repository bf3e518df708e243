/** A report of spend: its bytes are handed over whole, and the request waits for the answer. A few a day: nothing here is hot. */

import { COSTS_IN_FLIGHT_MAX, type BodyFormat } from '../costs.ts';
import type { Exchange } from './exchange.ts';
import { COSTS_FAILED, REFUSED, costsReply } from './replies.ts';

const FORMATS: ReadonlyMap<string, BodyFormat> = new Map([
  ['', 'json'],
  ['application/json', 'json'],
  ['text/plain', 'json'],
  ['application/x-ndjson', 'lines'],
  ['application/ndjson', 'lines'],
  ['text/csv', 'csv'],
  ['application/csv', 'csv'],
]);

/** Undefined for a media type that is not taken. */
export const costsFormat = (mediaType: string): BodyFormat | undefined => FORMATS.get(mediaType);

/** Copies `bytes[0, length)` before it returns. */
export function takeCosts(exchange: Exchange, bytes: Buffer, length: number): void {
  const { intake } = exchange;
  const { costs } = intake;
  if (costs === null) {
    exchange.conclude(REFUSED.NOT_READY);
    return;
  }
  if (intake.costsInFlight >= COSTS_IN_FLIGHT_MAX) {
    exchange.conclude(REFUSED.BUSY);
    return;
  }
  // The copy that crosses to the other thread.
  if (!exchange.charge(length)) {
    exchange.conclude(REFUSED.BUSY);
    return;
  }
  const body = new Uint8Array(length);
  body.set(bytes.subarray(0, length));
  intake.costsInFlight++;
  costs({ body, format: exchange.format, query: exchange.query })
    .then(costsReply, () => COSTS_FAILED)
    .then((reply) => {
      intake.costsInFlight--;
      exchange.conclude(reply);
    })
    // A door that is closed meanwhile has nobody to answer.
    .catch((error: unknown) => {
      setImmediate(() => {
        throw error;
      });
    });
}
