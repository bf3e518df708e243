/**
 * The scanner against the reference decoder: equal verdict and equal fields for any bytes. And the reference's own
 * raw tokens against a plain reading of JSON.
 */

import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../actors/appsflyer/decode.ts';
import { decodeReference } from '../../actors/appsflyer/decode-reference.ts';
import type { FieldTable } from '../../actors/appsflyer/field-table.ts';
import { eventProperties } from '../../actors/appsflyer/event-properties.ts';
import { Field, FIELD_NAMES, MadeField } from '../../actors/appsflyer/fields.ts';
import { IdentityWriter } from '../../actors/appsflyer/identity.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { Scanner } from '../../actors/appsflyer/scan/scanner.ts';
import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { createPartitioner } from '../../engine/core/partition-key.ts';
import { RecordSource } from '../../engine/core/record.ts';
import { withAppId } from '../../ingress/http/s2s.ts';
import { textOf } from '../support/text-bytes.ts';
import { AWKWARD, embed, mutate, Random, realistic } from './json-bytes.ts';
import { messageBytes, PARAMETERS } from './mutate-json.ts';

const scanner = new Scanner();
const fast = scanner.fields;
const slow = new Scanner().fields;
const decode = createDecoder();

const fieldsOf = (table: FieldTable): Record<string, string> =>
  Object.fromEntries(FIELD_NAMES.map((name, field) => [name, table.has(field as Field) ? table.text(field as Field) : '(absent)']));

const writer = new IdentityWriter();
/** Source and type of what was accepted. */
const shapes = new Set<string>();

let sure = 0;
let valid = 0;
function compare(body: Buffer, random: Random): void {
  const { bytes, start, end } = embed(body, random);
  const isSure = scanner.scan(bytes, start, end);
  const rejected = decodeReference(bytes, start, end, slow);
  if (rejected === null) valid++;
  // Of whatever shape it is taken for: it never raises, and what it accepts can be told from all others and shown.
  for (const source of [RecordSource.push, RecordSource.s2s, RecordSource.pull]) {
    const event = decode(bytes, start, end, source, 0);
    if (typeof event === 'string') continue;
    shapes.add(`${source} ${event.eventType}`);
    if (writer.text(event, 'push-ms') === '') expect(event).toBe('an event with an identity');
    const properties = textOf(eventProperties(event));
    if (properties !== null) JSON.parse(properties);
  }
  if (!isSure) return;
  sure++;
  const shown = body.toString('latin1').slice(0, 3_000);
  if (rejected !== null) expect({ shown, rejected: null }).toEqual({ shown, rejected });
  for (let field = 0; field < FIELD_NAMES.length; field++) {
    const wanted = slow.has(field as Field);
    const text = slow.text(field as Field);
    if (fast.has(field as Field) !== wanted || (wanted && fast.text(field as Field) !== text)) {
      expect({ shown, fields: fieldsOf(fast) }).toEqual({ shown, fields: fieldsOf(slow) });
    }
    // Kept texts come from records before this one.
    for (const table of [fast, fast, slow]) if (table.value(field as Field) !== dimensionValue(text)) expect({ shown, field, value: table.value(field as Field) }).toEqual({ shown, field, value: dimensionValue(text) });
  }
}

describe('scanner and reference decoder agree', () => {
  it('for awkward bodies', () => {
    const random = new Random(1);
    for (const body of AWKWARD) compare(Buffer.from(body), random);
  });

  it('for mutated messages', () => {
    const random = new Random(Number(process.env.FUZZ_SEED ?? 20_260_503));
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000);
    sure = valid = 0;
    while (performance.now() < end) compare(mutate(random, realistic(random)), random);
    // The fuzzer would prove nothing if the fast decoder were seldom sure, or if few inputs were valid.
    expect(sure).toBeGreaterThan(valid / 10);
    expect(valid).toBeGreaterThan(500);
  });

  it('for messages changed token by token, of every shape', () => {
    const random = new Random(Number(process.env.FUZZ_SEED ?? 20_261_129));
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000);
    while (performance.now() < end) {
      const body = messageBytes(random);
      const brace = body.lastIndexOf('}');
      const kind = `,"millrace_kind":"${random.pick(['ad-revenue', 'uninstall', 'detection', 'constructor'])}"}`;
      compare(brace > 1 && random.below(2) === 0 ? Buffer.concat([body.subarray(0, brace), Buffer.from(kind)]) : body, random);
    }
    for (const shape of [`${RecordSource.s2s} s2s-copy`, `${RecordSource.pull} ad-revenue`, `${RecordSource.pull} uninstall`]) expect([...shapes]).toContain(shape);
  });

  it('for any JSON object built around wanted keys', () => {
    const key = fc.oneof(fc.constantFrom<string>(...FIELD_NAMES), fc.constantFrom('__proto__', '', 'event_tim', 'event_timee', 'app_ie'), fc.string({ unit: 'binary', maxLength: 8 }));
    const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ maxLength: 30 }), fc.constantFrom<unknown>('', 'N/A', 'NULL', null, true, false, 12, 1e21, 1e-7, {}, [], { app_id: ['}', { event_name: [] }] }), fc.jsonValue());
    const random = new Random(7);
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value, fc.constantFrom('', ' ', '\r\n')), { maxLength: 10 }), (members) => {
        const text = members.map(([name, held, space]) => `${space}${JSON.stringify(name)}${space}:${space}${JSON.stringify(held)}${space}`).join(',');
        compare(Buffer.from(`{${text}}`), random);
      }),
      { numRuns: 3_000, seed: 11 },
    );
  });

  it('for any bytes', () => {
    const random = new Random(9);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => compare(Buffer.from(bytes), random)),
      { numRuns: 2_000, seed: 13 },
    );
  });
});

describe('the scanner on the JSON of a value', () => {
  const { module } = scanner.fields;
  /** What lies behind the text belongs to another. */
  const isJson = (text: Buffer, behind: string): number => {
    const start = module.exports.RECORD.value;
    module.memory.set(text, start);
    module.memory.write(behind, start + text.byteLength, 'latin1');
    const answer = module.exports.isJson(start, start + text.byteLength);
    expect(module.memory.toString('latin1', start + text.byteLength, start + text.byteLength + behind.length)).toBe(behind);
    return answer;
  };
  const parses = (text: Buffer): boolean => {
    try {
      JSON.parse(text.toString());
      return true;
    } catch {
      return false;
    }
  };

  it('says what JSON.parse says, whatever lies behind it', () => {
    const random = new Random(Number(process.env.FUZZ_SEED ?? 20_260_504));
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000);
    let valid = 0;
    let count = 0;
    for (; performance.now() < end; count++) {
      const nested = `{"a":[${realistic(random)},{},[],-1.5e3,true , null],"b\\u0041\\n":{"c": [[{"d":""}]]}}`;
      const text = mutate(random, random.below(3) === 0 ? nested : random.below(2) === 0 ? '{"af_price":9.99,"ids":["a","b"],"n":{"m":[1,2]}}' : random.pick(['12', '-0', '"x"', '[]', ' {} ', 'tru', '1e', '[1', '{"a":1', '[{"a":[']));
      if (!isUtf8(text)) continue;
      const expected = parses(text);
      if (expected) valid++;
      const behind = random.pick(['"', '7', ' ', '}', ']', 'e5', ',', '\\', '}}}]]]']);
      const answer = isJson(text, behind) === 1;
      if (answer !== expected) expect({ text: text.toString(), behind, answer }).toEqual({ text: text.toString(), behind, answer: expected });
    }
    expect(valid).toBeGreaterThan(count / 10);
    expect(count - valid).toBeGreaterThan(count / 10);
  });

  it('is in doubt beyond 64 levels, and a record with as many is the reference decoder\'s', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect([64, 65, 66].map((levels) => isJson(Buffer.from(nested(levels)), '"'))).toEqual([1, 1, 2]);
    const scans = (levels: number): boolean => {
      const bytes = Buffer.from(`{"app_id":"x","other":${nested(levels)}}`);
      return scanner.scan(bytes, 0, bytes.byteLength);
    };
    expect([scans(1), scans(64), scans(66)]).toEqual([true, true, false]);
  });
});

describe('the reference decoder', () => {
  it('keeps strings as they are and all else as it was sent', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom<string>(...FIELD_NAMES), fc.jsonValue({ maxDepth: 3 })), { maxLength: 8 }), (members) => {
        const bytes = Buffer.from(`{${members.map(([name, value]) => `${JSON.stringify(name)} : ${JSON.stringify(value)}`).join(' , ')}}`);
        expect(decodeReference(bytes, 0, bytes.byteLength, slow)).toBeNull();
        const last = new Map(members);
        for (const [name, value] of last) {
          const field = FIELD_NAMES.indexOf(name as (typeof FIELD_NAMES)[number]) as Field;
          const kept = value !== null && (typeof value !== 'object' || field === Field.eventValue);
          const text = !kept ? '' : typeof value === 'string' ? Buffer.from(value).toString() : JSON.stringify(value);
          expect(slow.text(field)).toBe(text === 'N/A' || text === 'NULL' ? '' : text);
        }
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });
});

/** A message in whose parameters alone a user may stand. */
const withoutIds = (random: Random, source: 'push' | 's2s'): Buffer =>
  Buffer.from(source === 'push' ? `{"app_id":"com.example.shop","event_name":"e","event_time":"2026-05-03 10:15:42.318","event_value":${random.pick(PARAMETERS)}}` : `{"eventName":"e","appsflyer_id":"0","eventValue":${random.pick(PARAMETERS)}}`);

describe('door and identity', () => {
  it('meet: events of one identity always lie in one partition', () => {
    const partitioner = createPartitioner(appsflyerPipeline.partitionKey, 65_521);
    const identity = new IdentityWriter();
    const random = new Random(5);
    const seen = new Map<string, number>();
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000) / 4;
    let repeated = 0;
    const hidden = { push: 0, s2s: 0 };
    while (performance.now() < end) {
      const source = random.pick(['push', 's2s'] as const);
      const kind = random.below(3);
      const body = kind === 0 ? mutate(random, realistic(random)) : kind === 1 ? messageBytes(random) : withoutIds(random, source);
      const record = source === 's2s' ? withAppId(body, body.byteLength, 'com.example.shop') : body;
      if (record === null) continue;
      const { bytes, start, end: last } = embed(record, random);
      const event = decode(bytes, start, last, RecordSource[source], 0);
      if (typeof event === 'string' || event.userField < 0) continue;
      if (event.userField === MadeField.hiddenUser) hidden[source]++;
      partitioner.locate(bytes, start, last);
      const name = identity.text(event, 'push+pull-seconds');
      const before = seen.get(name);
      if (before !== undefined) repeated++;
      if (before !== undefined && before !== partitioner.partition) expect({ name, partition: partitioner.partition }).toEqual({ name, partition: before });
      seen.set(name, partitioner.partition);
    }
    expect(repeated).toBeGreaterThan(10);
    expect(Math.min(hidden.push, hidden.s2s)).toBeGreaterThan(0);
  });
});
