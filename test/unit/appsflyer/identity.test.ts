import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../actors/appsflyer/decode.ts';
import { IdentityWriter } from '../../../actors/appsflyer/identity.ts';
import { compareVariants, Found } from '../../../engine/core/dedupe-key.ts';
import { fingerprintHex } from '../../../engine/core/hash.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import type { DedupeMode } from '../../../engine/core/rules.ts';
import { encode, ORGANIC_INSTALL, PURCHASE, SKAN_INSTALL, variant } from './messages.ts';

const decode = createDecoder();
const writer = new IdentityWriter();

const identityOf = (message: unknown, mode: DedupeMode = 'push-ms', source: RecordSource = RecordSource.push): string => {
  const bytes = encode(message);
  const event = decode(bytes, 0, bytes.byteLength, source, 0);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  return writer.text(event, mode);
};

const hexOf = (message: unknown): string => {
  const bytes = encode(message);
  const event = decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  const words = new Uint32Array(4);
  expect(writer.fingerprint(event, 'push-ms', words)).toBe(true);
  return fingerprintHex(words);
};

/** The key by which the program itself knows an event again. */
const keyOf = (message: unknown, mode: DedupeMode = 'push-ms', source: RecordSource = RecordSource.push): number[] => {
  const bytes = encode(message);
  const event = decode(bytes, 0, bytes.byteLength, source, 0);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  const words = new Uint32Array(4);
  writer.dedupeKey(event, mode, words);
  return [...words];
};
const formerOf = (message: unknown, mode: DedupeMode, attempt: number): string | null => {
  const bytes = encode(message);
  const event = decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  const words = new Uint32Array(4);
  return writer.formerFingerprint(event, mode, attempt, words) ? fingerprintHex(words) : null;
};
const at = (event_time: string): Record<string, unknown> => variant(PURCHASE, { event_time });
const alike = (a: number[], b: number[]): Found => (a.slice(0, 3).every((word, index) => word === b[index]) ? compareVariants(a[3] as number, b[3] as number) : Found.nowhere);

describe('the key of an event', () => {
  it('is one in all modes but for its variant, the millisecond', () => {
    const push = keyOf(at('2026-05-03 10:15:42.318'));
    expect(keyOf(at('2026-05-03 10:15:42.318'), 'push+pull-seconds')).toEqual(push);
    expect(alike(push, keyOf(at('2026-05-03 10:15:42.319')))).toBe(Found.otherVariant);
    expect(alike(push, keyOf(at('2026-05-03 10:15:43.318')))).toBe(Found.nowhere);
    expect(alike(push, keyOf(variant(at('2026-05-03 10:15:42.318'), { event_name: 'other' })))).toBe(Found.nowhere);
  });

  it('is any of its second where a time without a fraction is compared in seconds, and the first millisecond else', () => {
    const row = keyOf(at('2026-05-03 10:15:42'), 'push+pull-seconds', RecordSource.pull);
    for (const ms of ['000', '001', '318', '999']) expect(alike(row, keyOf(at(`2026-05-03 10:15:42.${ms}`), 'push+pull-seconds'))).toBe(Found.same);
    expect(alike(keyOf(at('2026-05-03 10:15:42.000'), 'push+pull-seconds'), keyOf(at('2026-05-03 10:15:42.318')))).toBe(Found.otherVariant);
    expect(keyOf(at('2026-05-03 10:15:42'))).toEqual(keyOf(at('2026-05-03 10:15:42.000')));
  });

  it('has no variant where the identity has no time', () => {
    expect(keyOf(variant(SKAN_INSTALL, { timestamp: '2026-05-03 11:00:00' }), 'push+pull-seconds')).toEqual(keyOf(SKAN_INSTALL));
  });

  it('was, in states of format 1, the fingerprint of the mode, an empty event_value as it stood', () => {
    expect(formerOf(PURCHASE, 'push-ms', 0)).toBe(hexOf(PURCHASE));
    expect(formerOf(PURCHASE, 'push-ms', 1)).toBeNull();
    expect(formerOf(PURCHASE, 'push+pull-seconds', 1)).toBe(hexOf(PURCHASE));
    expect(formerOf(PURCHASE, 'push+pull-seconds', 0)).not.toBe(hexOf(PURCHASE));
    expect(formerOf(PURCHASE, 'push+pull-seconds', 2)).toBeNull();
    const empty = variant(PURCHASE, { event_value: '{}' });
    expect(formerOf(empty, 'push-ms', 0)).not.toBe(hexOf(empty));
  });
});

describe('identity', () => {
  it('is the documented text, so that an outsider can compute it', () => {
    expect(identityOf(ORGANIC_INSTALL)).toBe('12:id1234567890,21:1718100000456-7654321,7:install,13:1777803360871,-,7:install,7:organic,4:true,');
    expect(identityOf(ORGANIC_INSTALL, 'push+pull-seconds')).toBe('12:id1234567890,21:1718100000456-7654321,7:install,10:1777803360,-,7:install,7:organic,4:true,');
    expect(identityOf(SKAN_INSTALL)).toBe('4:skan,12:id1234567890,36:5d1c0f0e-8f4b-4a55-9d51-2f7f3a1f0001,');
    expect(identityOf(variant(ORGANIC_INSTALL, { event_value: '{"é":"/"}', is_primary_attribution: 0 }))).toBe(
      '12:id1234567890,21:1718100000456-7654321,7:install,13:1777803360871,10:{"é":"/"},7:install,7:organic,5:false,',
    );
  });

  it('has the fingerprint that an independent implementation computes', () => {
    // Python: mmh3.hash_bytes("12:id1234567890,21:…,4:true,", 0, x64arch=False).hex()
    expect(hexOf(ORGANIC_INSTALL)).toBe('97d0a9beea6132b08bbcb56f2b0f7bd0');
    expect(hexOf(PURCHASE)).toBe('f3a7a3aedb2c676827f57de32518e75a');
  });

  it.each([
    ['app_id', 'com.other'],
    ['appsflyer_id', '1718000000123-1'],
    ['event_name', 'af_purchase2'],
    ['event_time', '2026-05-03 10:15:42.319'],
    ['event_value', '{}'],
    ['conversion_type', 're-engagement'],
    ['campaign_type', 'retargeting'],
    ['is_primary_attribution', false],
  ])('differs when %s does', (name, value) => {
    expect(identityOf(variant(PURCHASE, { [name]: value }))).not.toBe(identityOf(PURCHASE));
  });

  it.each([
    [{ city: 'Paris', event_revenue_usd: '99' }],
    [{ is_primary_attribution: undefined }],
    [{ is_primary_attribution: 'TRUE' }],
    [{ customer_user_id: 'another' }],
    [{ event_time: '2026-05-03T12:15:42.318+02:00' }],
  ])('does not differ with %j', (changes) => {
    expect(identityOf(variant(PURCHASE, changes))).toBe(identityOf(PURCHASE));
  });

  it('takes absent, null, empty, N/A and NULL for one', () => {
    const bare = identityOf(variant(PURCHASE, { campaign_type: undefined }));
    for (const value of [null, '', 'N/A', 'NULL']) expect(identityOf(variant(PURCHASE, { campaign_type: value }))).toBe(bare);
  });

  it('passes over placeholder ids to the next user key', () => {
    const wanted = identityOf(variant(PURCHASE, { appsflyer_id: undefined }));
    for (const value of [null, '', '0', '0000000000000-0000000', 'null', 'Unknown', ' ']) expect(identityOf(variant(PURCHASE, { appsflyer_id: value }))).toBe(wanted);
    expect(wanted).toContain(',6:u-1001,');
  });

  it('is the same whether an id came as a number or as a string, and however JSON spelled it', () => {
    const number = JSON.stringify(PURCHASE).replace('"u-1001"', '123456789012345678901');
    const noAppsflyerId = (text: string): string => text.replace('appsflyer_id', 'x');
    expect(identityOf(noAppsflyerId(number))).toBe(identityOf(noAppsflyerId(number.replace('123456789012345678901', '"123456789012345678901"'))));
    expect(identityOf(JSON.stringify(PURCHASE).replace('af_purchase', '\\u0061f_purchase'))).toBe(identityOf(PURCHASE));
    expect(identityOf(JSON.stringify(PURCHASE, null, 2))).toBe(identityOf(PURCHASE));
  });

  it('keeps rows of other kinds apart from messages', () => {
    const copy = variant(PURCHASE, { millrace_kind: 's2s-copy' });
    for (const message of [copy, PURCHASE]) expect(identityOf(message, 'push-ms', RecordSource.s2s)).toBe(`8:s2s-copy,${identityOf(PURCHASE)}`);
    expect(identityOf(copy)).toBe(identityOf(PURCHASE));
  });

  it('tells rows of ad revenue apart by where the ad stood, and by nothing else that they carry', () => {
    const row = { ...variant(PURCHASE, { millrace_kind: 'ad-revenue', monetization_network: 'n', placement: 'top' }) };
    const of = (changes: object): string => identityOf({ ...row, ...changes }, 'push-ms', RecordSource.pull);
    expect(of({})).toBe(`10:ad-revenue,${identityOf(PURCHASE)}8:n\u001f\u001f\u001ftop\u001f,`);
    for (const name of ['monetization_network', 'mediation_network', 'ad_unit', 'placement', 'segment']) expect(of({ [name]: 'other' })).not.toBe(of({}));
    for (const changes of [{ impressions: '7' }, { event_revenue_usd: '1' }, { millrace_kind: 'ad-revenue', other: 'x' }]) expect(of(changes)).toBe(of({}));
    expect(of({ monetization_network: '', placement: undefined })).toBe(`10:ad-revenue,${identityOf(PURCHASE)}-,`);
    // An empty event_value takes nothing but itself out of it.
    expect(of({ event_value: '{}' })).toBe(`10:ad-revenue,${identityOf(variant(PURCHASE, { event_value: undefined }))}8:n\u001f\u001f\u001ftop\u001f,`);
    expect(keyOf({ ...row, placement: 'other' }, 'push+pull-seconds', RecordSource.pull)).not.toEqual(keyOf(row, 'push+pull-seconds', RecordSource.pull));
  });

  it('is that of Push v2 for what stands under other names', () => {
    const { appsflyer_id, ...others } = PURCHASE;
    expect(identityOf({ ...others, appsflyer_device_id: appsflyer_id })).toBe(identityOf(PURCHASE));
    const { event_name, event_value, event_time, conversion_type, campaign_type, ...rest } = PURCHASE;
    expect(identityOf({ ...rest, eventName: event_name, eventValue: event_value, eventTime: event_time }, 'push-ms', RecordSource.s2s)).toBe(
      `8:s2s-copy,${identityOf({ ...PURCHASE, conversion_type: undefined, campaign_type: undefined })}`,
    );
    expect([conversion_type, campaign_type]).toEqual(['install', 'ua']);
  });

  it('holds the user that only event_value names, with an ad beside', () => {
    const row = { app_id: 'a', event_name: 'e', event_time: '1970-01-01 00:00:01', event_value: '{"user_id":"u7"}' };
    expect(identityOf(row)).toBe('1:a,2:u7,1:e,4:1000,16:{"user_id":"u7"},-,-,4:true,');
    expect(identityOf({ ...row, millrace_kind: 'ad-revenue', segment: 's' }, 'push-ms', RecordSource.pull)).toBe('10:ad-revenue,1:a,2:u7,1:e,4:1000,16:{"user_id":"u7"},-,-,4:true,5:\u001f\u001f\u001f\u001fs,');
  });

  it('takes an event without parameters for one, however Push and Pull write that', () => {
    const bare = identityOf(variant(PURCHASE, { event_value: undefined }));
    for (const value of ['{}', '', null]) {
      expect(identityOf(variant(PURCHASE, { event_value: value }))).toBe(bare);
      expect(keyOf(variant(PURCHASE, { event_value: value }))).toEqual(keyOf(variant(PURCHASE, { event_value: undefined })));
    }
    for (const value of ['{ }', '{}}', '[]', '{']) expect(identityOf(variant(PURCHASE, { event_value: value }))).not.toBe(bare);
    // JSON.parse decides of what has escapes in its names.
    expect(identityOf(JSON.stringify(variant(PURCHASE, { event_value: '{}' })).replace('event_value', 'event\\u005fvalue'))).toBe(bare);
  });

  it('cannot be forged by moving text between parts', () => {
    const one = identityOf(variant(PURCHASE, { event_name: 'a,1:b', event_value: 'c' }));
    const two = identityOf(variant(PURCHASE, { event_name: 'a', event_value: 'b,c' }));
    expect(one).not.toBe(two);
  });

  it('holds an event_value of a megabyte', () => {
    const value = 'v'.repeat(1_000_000);
    expect(identityOf(variant(PURCHASE, { event_value: value }))).toContain(`,1000000:${value},`);
  });
});
