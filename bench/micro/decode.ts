/**
 * How long does one record take on an actor thread, from bytes to dimensions and fingerprint?
 *
 * Expected limit: one pass over 1.6 KB, well under JSON.parse alone. Run: `npm run build && node
 * dist/bench/micro/decode.js`. Guards actors/appsflyer.
 */

import { createDecoder } from '../../actors/appsflyer/decode.ts';
import { decodeReference } from '../../actors/appsflyer/decode-reference.ts';
import type { AppsflyerEvent } from '../../actors/appsflyer/event.ts';
import { appsflyerPipeline as pipeline } from '../../actors/appsflyer/pipeline.ts';
import { Scanner } from '../../actors/appsflyer/scan/scanner.ts';
import { RecordSource } from '../../engine/core/record.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type MeasureOptions, type Timing } from './measure.ts';
import { buildMessages } from './messages.ts';

const MESSAGES = 1_000;

export function benchDecode(options: MeasureOptions): readonly Timing[] {
  const { bytes, starts, ends } = buildMessages({ count: MESSAGES });
  const wide = buildMessages({ count: MESSAGES, wide: true });
  const scanner = new Scanner();
  const table = new Scanner().fields;
  const decode = createDecoder();
  const words = new Uint32Array(4);
  const rules = pipeline.domainRules(null);
  const context = { eventId: 'e', late: false, receivedAtMs: 0 };
  const at = (call: number): number => call % MESSAGES;
  const eventAt = (index: number): AppsflyerEvent => {
    const event = decode(bytes, starts[index] as number, ends[index] as number, RecordSource.push);
    if (typeof event === 'string') throw new Error(`bug: a bench message was rejected as ${event}`);
    return event;
  };
  const event = eventAt(0);
  return [
    measure('JSON.parse', options, (call) => (JSON.parse(bytes.toString('latin1', starts[at(call)], ends[at(call)])) as { app_id: string }).app_id.length),
    measure('reference decoder, fields', options, (call) => (decodeReference(bytes, starts[at(call)] as number, ends[at(call)] as number, table) === null ? 1 : NaN)),
    measure('scanner, fields', options, (call) => (scanner.scan(bytes, starts[at(call)] as number, ends[at(call)] as number) ? 1 : NaN)),
    measure('scanner, fields, beyond ASCII', options, (call) => (scanner.scan(wide.bytes, wide.starts[at(call)] as number, wide.ends[at(call)] as number) ? 1 : NaN)),
    measure('decode: fields and event', options, (call) => eventAt(at(call)).timeMs),
    measure('fingerprint of one event', options, () => (pipeline.fingerprint(event, 'push-ms', words) ? (words[0] as number) : NaN)),
    measure('measures of one event', options, () => pipeline.measures.reduce((sum, measure) => sum + measure.amount(event, rules), 0)),
    measure('lake row of one event', options, () => pipeline.lakeColumns.reduce((sum, column) => sum + (column.of(event, context) === null ? 0 : 1), 0)),
    measure('decode, fingerprint and dimensions', options, (call) => {
      const decoded = eventAt(at(call));
      pipeline.fingerprint(decoded, 'push-ms', words);
      let length = words[0] as number;
      for (const dimension of pipeline.dimensions) length += dimension.of(decoded).length;
      return length;
    }),
  ];
}

if (isProgram(import.meta.url)) {
  printTimings('One push message of about 1.6 KB', benchDecode({ rounds: 5, calls: 100_000 }));
}
