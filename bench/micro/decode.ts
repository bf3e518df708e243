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
const S2S_EVENT = '{"appsflyer_id":"1718000000123-4500123456789012345","customer_user_id":"u-1001","eventName":"af_purchase","eventValue":"{\\"af_revenue\\":\\"6\\",\\"af_content_id\\":\\"15854\\"}","eventCurrency":"USD","eventTime":"2026-05-03 10:15:42.318","ip":"192.0.2.1","os":"14.5.1","app_id":"id1234567890"}';
const V1_EVENT = '{"app_id":"com.example.shop","platform":"android","event_type":"in-app-event","attribution_type":"regular","event_time":"2018-09-26 20:13:55","event_name":"af_purchase","event_value":"{\\"af_revenue\\":11.21}","currency":"USD","click_time":"2018-09-26 09:14:10","media_source":"Facebook Ads","fb_campaign_id":"23842700000000001","country_code":"BR","appsflyer_device_id":"1537990322285-5695151094453348220"}';

export function benchDecode(options: MeasureOptions): readonly Timing[] {
  const { bytes, starts, ends } = buildMessages({ count: MESSAGES });
  const wide = buildMessages({ count: MESSAGES, wide: true });
  const rare = { s2s: Buffer.from(S2S_EVENT), v1: Buffer.from(V1_EVENT) };
  const rareTimeMs = (shape: keyof typeof rare, source: RecordSource): number => {
    const decoded = decode(rare[shape], 0, rare[shape].byteLength, source, 0);
    return typeof decoded === 'string' ? NaN : decoded.timeMs;
  };
  const scanner = new Scanner();
  const table = new Scanner().fields;
  const decode = createDecoder();
  const words = new Uint32Array(4);
  const rules = pipeline.domainRules(null);
  const context = { eventId: 'e', late: false, receivedAtMs: 0 };
  const at = (call: number): number => call % MESSAGES;
  const eventAt = (index: number): AppsflyerEvent => {
    const event = decode(bytes, starts[index] as number, ends[index] as number, RecordSource.push, 0);
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
    measure('decode: an S2S event of 0.3 KB', options, () => rareTimeMs('s2s', RecordSource.s2s)),
    measure('decode: a message of Push v1 of 0.4 KB', options, () => rareTimeMs('v1', RecordSource.push)),
    measure('fingerprint of one event', options, () => (pipeline.fingerprint(event, 'push-ms', words) ? (words[0] as number) : NaN)),
    measure('rules of one event', options, () => {
      pipeline.enrich?.(event, rules);
      return event.timeMs;
    }),
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
