import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { truncateAddress } from '../../../actors/appsflyer/privacy/address.ts';
import { KeyedHash } from '../../../actors/appsflyer/privacy/keyed-hash.ts';
import { parsePolicy } from '../../../actors/appsflyer/privacy/policy.ts';
import { isJson, mentions, rewriteJson } from '../../../actors/appsflyer/privacy/rewrite-json.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import type { RuleResources } from '../../../engine/core/rule-resources.ts';
import { MS_PER_DAY } from '../../../engine/core/types.ts';
import { textOf } from '../../support/text-bytes.ts';
import { PURCHASE } from './messages.ts';

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef');
const resources: RuleResources = { places: () => ({ find: () => null }), secret: () => SECRET };
const hash = (text: string): string => new KeyedHash(SECRET, 0).of(text, 0);

function shielded(changes: Readonly<Record<string, unknown>>, fields: Readonly<Record<string, string>>, receivedAtMs = 5): AppsflyerEvent {
  const bytes = Buffer.from(JSON.stringify({ ...PURCHASE, ...changes }));
  const event = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  if (typeof event === 'string') throw new Error(event);
  pipeline.shield?.(event, pipeline.domainRules({ privacy: { fields, secret: 'id' } }, resources), receivedAtMs);
  return event;
}

function row(changes: Readonly<Record<string, unknown>>, fields: Readonly<Record<string, string>>, receivedAtMs = 5): Record<string, unknown> {
  const event = shielded(changes, fields, receivedAtMs);
  return Object.fromEntries(pipeline.lakeColumns.map((column) => [column.name, textOf(column.of(event, { eventId: 'e', late: false, receivedAtMs }))]));
}

describe('a privacy policy in the lake', () => {
  it('hashes, drops and keeps, and touches nothing that is counted', () => {
    const plain = row({}, { user_id: 'keep' });
    const hidden = row({}, { user_id: 'hash', city: 'drop', event_value: 'drop' });
    expect(hidden).toEqual({ ...plain, user_id: hash(PURCHASE['appsflyer_id'] as string), city: null, event_properties: null });
  });

  it('goes by the field that names the user, which may be excepted', () => {
    const policy = { user_id: 'hash', customer_user_id: 'keep' };
    expect(row({}, policy).user_id).toBe(hash(PURCHASE['appsflyer_id'] as string));
    expect(row({ appsflyer_id: undefined }, policy).user_id).toBe('u-1001');
    expect(row({ appsflyer_id: undefined }, { appsflyer_id: 'drop' }).user_id).toBe('u-1001');
    expect(row({}, { appsflyer_id: 'drop' }).user_id).toBeNull();
  });

  it('opens event_value for its keys, however deep, and leaves all else byte for byte', () => {
    const value = '{ "id":12345678901234567890, "email":"a@b.c","list":[{"email":null,"ip":"192.0.2.44"}], "e\\u006dail":"x", "params":"{\\"email\\":\\"deep\\",\\"n\\":1.0}", "n":1e400}';
    expect(row({ event_value: value }, { 'event_value.email': 'drop', 'event_value.ip': 'truncate' }).event_properties).toBe(
      '{ "id":12345678901234567890, "email":null,"list":[{"email":null,"ip":"192.0.2.0"}], "e\\u006dail":null, "params":"{\\"email\\":null,\\"n\\":1.0}", "n":1e400}',
    );
  });

  it('drops an event_value that was cut where one of its keys is mentioned, for nobody can tell what else is', () => {
    const policy = { 'event_value.email': 'drop' };
    expect(row({ event_value: '{"a":1,"email":"a@b' }, policy).event_properties).toBeNull();
    expect(row({ event_value: '{"a":"b' }, policy).event_properties).toBe('"{\\"a\\":\\"b"');
    expect(row({ event_value: '{"params":"{\\"email\\":\\"a@"}' }, policy).event_properties).toBe('{"params":null}');
  });

  it('hashes a whole event_value, and values that are no texts', () => {
    expect(row({}, { event_value: 'hash' }).event_properties).toBe(`"${hash(PURCHASE['event_value'] as string)}"`);
    expect(row({ event_value: '{"k":12345678901234567890,"l":[1,"k"],"k":{"a":1}}' }, { 'event_value.k': 'hash' }).event_properties).toBe(`{"k":"${hash('12345678901234567890')}","l":[1,"k"],"k":"${hash('{"a":1}')}"}`);
  });

  it('is off for the event after one that was hidden', () => {
    row({}, { user_id: 'hash' });
    const bytes = Buffer.from(JSON.stringify(PURCHASE));
    const next = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0) as AppsflyerEvent;
    const column = pipeline.lakeColumns.find(({ name }) => name === 'user_id');
    expect(textOf(column?.of(next, { eventId: 'e', late: false, receivedAtMs: 5 }))).toBe(PURCHASE['appsflyer_id']);
  });

  it('leaves identity and partition to what was sent', () => {
    const words = new Uint32Array(4);
    const fingerprint = (fields: Readonly<Record<string, string>>): string => {
      pipeline.fingerprint(shielded({}, fields), 'push-ms', words);
      return words.join();
    };
    expect(fingerprint({ user_id: 'hash', event_value: 'drop' })).toBe(fingerprint({}));
  });

  it('shows records without what is personal, and none that it cannot read', () => {
    const { shield } = pipeline.domainRules({ privacy: { fields: { user_id: 'hash', ip: 'truncate', user_agent: 'drop', 'event_value.email': 'drop' }, secret: 'id' } }, resources);
    const record = '{"app_id":"a", "customer_user_id":"u-1","ip":"192.0.2.44","user_agent":"x","deep":{"ip":"kept"},"event_value":"{\\"email\\":\\"a\\",\\"ip\\":\\"kept\\"}"}';
    expect(shield?.record(record, 5)).toBe(`{"app_id":"a", "customer_user_id":"${hash('u-1')}","ip":"192.0.2.0","user_agent":null,"deep":{"ip":"kept"},"event_value":"{\\"email\\":null,\\"ip\\":\\"kept\\"}"}`);
    for (const broken of ['', '[]', '{"customer_user_id":"u-1"', 'customer_user_id=u-1', '{"customer_user_id":"u-1"}}']) expect(shield?.record(broken, 5)).toBeNull();
  });
});

describe('a policy', () => {
  it.each([
    [{ fields: { campaign: 'drop' } }, /campaign: no such personal field/],
    [{ fields: { user_id: 'hide' } }, /use one of keep, hash, truncate, drop/],
    [{ fields: { user_id: 'truncate' } }, /only addresses/],
    [{ fields: { 'event_value.': 'drop' } }, /1 to 100 characters/],
    [{ fields: { 'event_value.a"b': 'drop' } }, /no quotes/],
    [{ fields: { user_id: 'hash' } }, /needs a secret/],
    [{ fields: {}, rotationDays: 0.5 }, /rotationDays/],
    [{ field: {} }, /unknown privacy rules: field/],
    [[], /no. an object|not an object/],
  ])('refuses %j', (data, problem) => {
    expect(() => parsePolicy(data)).toThrow(problem);
  });
});

describe('a keyed hash', () => {
  it('is the same within a period of log time, another one in the next, and another one with another secret', () => {
    const keyed = new KeyedHash(SECRET, 30);
    const first = keyed.of('u-1', 30 * MS_PER_DAY);
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(keyed.of('u-1', 60 * MS_PER_DAY - 1)).toBe(first);
    expect(keyed.of('u-1', 60 * MS_PER_DAY)).not.toBe(first);
    expect(keyed.of('u-1', 30 * MS_PER_DAY)).toBe(first);
    expect(new KeyedHash(Buffer.from('another secret'), 30).of('u-1', 30 * MS_PER_DAY)).not.toBe(first);
    expect(new KeyedHash(SECRET, 0).of('u-1', 0)).toBe(new KeyedHash(SECRET, 0).of('u-1', 1e13));
  });
});

describe('a truncated address', () => {
  it.each([
    ['192.0.2.44', '192.0.2.0'],
    ['::ffff:192.0.2.44', '192.0.2.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
    ['2001:DB8::1', '2001:db8::'],
    ['2001:db8:0001::', '2001:db8:1::'],
    ['::1', '::'],
    ['2001::1.2.3.4', '2001::'],
    ['192.0.2.256', null],
    ['192.0.2', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['1::2::3', null],
    ['12345::', null],
    ['x', null],
    ['', null],
  ])('%s is %s', (text, network) => {
    expect(truncateAddress(text)).toBe(network);
  });
});

describe('rewriting JSON', () => {
  const KEY = 'secret';
  const json = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, fc.jsonValue({ maxDepth: 1 }), fc.dictionary(fc.oneof(fc.constant(KEY), fc.string()), tie('value')), fc.array(tie('value')), fc.string()),
  })).value;
  const drop = { actions: new Map([[KEY, 'drop']]), replace: () => 'null' };
  const dropNothing = { actions: new Map([['no such key', 'drop']]), replace: () => 'null' };
  /** Of a string: JSON is rewritten inside; what begins like it, is none, and may hold a key, if only behind an escape, is hidden whole. */
  const shown = (text: string, options: typeof drop): unknown => {
    if (!/^\s*["[{]/.test(text)) return text;
    if (isJson(text)) return rewriteJson(text, options);
    return mentions(JSON.stringify(text), options.actions) ? null : text;
  };
  const walked = (value: unknown, options: typeof drop): unknown => {
    if (typeof value === 'string') return shown(value, options);
    if (Array.isArray(value)) return value.map((inner) => walked(inner, options));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, options.actions.has(key) ? null : walked(inner, options)]));
  };

  it('does what a walk over the parsed value does', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(JSON.parse(rewriteJson(text, drop))).toEqual(JSON.parse(JSON.stringify(walked(value, drop))));
      }),
    );
  });

  it('returns what it does not touch as it came', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(rewriteJson(JSON.stringify(value), dropNothing)).toBe(JSON.stringify(walked(value, dropNothing)));
      }),
    );
  });

  it.each([
    ['a key in plain letters', '{"secret": "an', null],
    ['a key that may stand behind an escape', '["\\/', null],
    ['no key', '{"open": 1', '{"open": 1'],
    ['no likeness to JSON', 'secret', 'secret'],
    ['JSON of its own', '{"secret":1,"open":2}', '{"secret":null,"open":2}'],
  ])('of a string with %s', (_, text, expected) => {
    expect(JSON.parse(rewriteJson(JSON.stringify([text]), drop))).toEqual([expected]);
  });
});
