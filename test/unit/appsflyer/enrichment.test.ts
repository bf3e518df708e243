import { describe, expect, it } from 'vitest';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { readUserAgent } from '../../../actors/appsflyer/enrich/user-agent.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import type { RuleResources } from '../../../engine/core/rule-resources.ts';
import { textOf } from '../../support/text-bytes.ts';
import { PURCHASE } from './messages.ts';

const HASH = 'a'.repeat(64);
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';
let lookups: string[] = [];
const resources: RuleResources = {
  places: () => ({
    find: (address) => {
      lookups.push(address);
      return address === '192.0.2.44' ? { country: 'CH', region: 'EU', state: 'GE', city: 'Geneva' } : null;
    },
  }),
  secret: () => new Uint8Array(0),
};
const BOTH = { enrichment: { geoFileHash: HASH, userAgent: true } };
const LACKING = { country_code: undefined, city: undefined, device_category: undefined, os_version: undefined };

function event(changes: Readonly<Record<string, unknown>>, domain: unknown = BOTH, rules = pipeline.domainRules(domain, resources)): AppsflyerEvent {
  lookups = [];
  const bytes = Buffer.from(JSON.stringify({ ...PURCHASE, ...changes }));
  const decoded = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  if (typeof decoded === 'string') throw new Error(decoded);
  pipeline.enrich?.(decoded, rules);
  return decoded;
}

function row(changes: Readonly<Record<string, unknown>>, domain: unknown = BOTH, rules = pipeline.domainRules(domain, resources)): Record<string, unknown> {
  const one = event(changes, domain, rules);
  const context = { eventId: 'e', late: false, receivedAtMs: 5 };
  return Object.fromEntries(pipeline.lakeColumns.map((column) => [column.name, textOf(column.of(one, context))]));
}

describe('enrichment', () => {
  it('fills in place, device, OS version and browser where AppsFlyer sent none, and says which', () => {
    expect(row({ ...LACKING, user_agent: IPHONE })).toMatchObject({
      country: 'CH', region: 'EU', state: 'GE', city: 'Geneva', device: 'phone', platform: 'android', os_version: '17.5.1', browser: 'Mobile Safari',
      enriched: 'country,device,region,state,city,os_version,browser',
    });
  });

  it('never changes a value that was sent, also where it says nothing of use', () => {
    const sent = { country_code: 'fr', region: 'AS', state: 'X', city: 'Lyon', device_category: 'unknown', platform: 'unknown', os_version: '11', user_agent: IPHONE };
    expect(row(sent)).toMatchObject({ country: 'FR', region: 'AS', state: 'X', city: 'Lyon', device: 'unknown', platform: 'unknown', os_version: '11', enriched: 'browser' });
  });

  it('fills in one field alone', () => {
    expect(row({ country_code: undefined, region: 'EU', state: 'GE' })).toMatchObject({ country: 'CH', city: 'Lyon', enriched: 'country' });
  });

  it('tells the platform of an app id that says nothing', () => {
    expect(row({ app_id: 'webshop', platform: undefined, user_agent: IPHONE }, { enrichment: { userAgent: true } })).toMatchObject({ platform: 'ios', enriched: 'platform,browser' });
    expect(row({ app_id: 'com.example', platform: undefined, user_agent: IPHONE }, { enrichment: { userAgent: true } })).toMatchObject({ platform: 'android' });
  });

  it('of one event says nothing of the next', () => {
    const rules = pipeline.domainRules(BOTH, resources);
    expect(row({ ...LACKING, user_agent: IPHONE }, BOTH, rules)).toMatchObject({ country: 'CH', browser: 'Mobile Safari' });
    expect(row({ ...LACKING, ip: '203.0.113.9', user_agent: 'okhttp/4.9.3' }, BOTH, rules)).toMatchObject({ country: 'unknown', city: null, browser: null, enriched: null });
  });

  it('leaves what nobody knows as it was', () => {
    expect(row({ ...LACKING, ip: '203.0.113.9', user_agent: 'okhttp/4.9.3' })).toMatchObject({ country: 'unknown', device: 'unknown', city: null, os_version: null, browser: null, enriched: null });
    expect(row({ ...LACKING, ip: undefined, user_agent: undefined })).toMatchObject({ country: 'unknown', device: 'unknown', enriched: null });
    event({ ...LACKING, ip: '1'.repeat(46) });
    expect(lookups).toEqual([]);
  });

  it('looks up nothing for the fold where nothing that is counted by is missing', () => {
    event({});
    expect(lookups).toEqual([]);
    event({ country_code: undefined });
    expect(lookups).toEqual(['192.0.2.44']);
  });

  it('is off without rules, also for the event after one that was enriched', () => {
    row({ ...LACKING });
    expect(row({ ...LACKING, user_agent: IPHONE }, null)).toMatchObject({ country: 'unknown', device: 'unknown', city: null, browser: null, enriched: null });
  });

  it('leaves identity alone', () => {
    const fingerprint = (domain: unknown): number[] => {
      const words = new Uint32Array(4);
      pipeline.fingerprint(event({ ...LACKING }, domain), 'push-ms', words);
      return [...words];
    };
    expect(fingerprint(BOTH)).toEqual(fingerprint(null));
  });

  it('is part of what the lake obeys; other rules are not', () => {
    expect(pipeline.lakeRules?.({ conversionEvents: ['a'] })).toBe('');
    expect(pipeline.lakeRules?.({ conversionEvents: ['a'], ...BOTH })).toBe(JSON.stringify(BOTH));
    expect(() => pipeline.domainRules({ enrichment: { geoFile: HASH } }, resources)).toThrow(/geoFile/);
    expect(() => pipeline.domainRules({ enrichment: { geoFileHash: '../../etc' } }, resources)).toThrow(/SHA-256/);
  });
});

describe('a user agent', () => {
  it.each([
    ['Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A.220624.014)', { device: 'phone', platform: 'android', osVersion: '13', browser: '' }],
    ['Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148', { device: 'tablet', platform: 'ios', osVersion: '16.6', browser: 'WebKit' }],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36', { device: 'desktop', platform: 'windows', osVersion: '10', browser: 'Chrome' }],
    ['Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 Chrome/70 Mobile Safari/537.36', { device: 'tv', platform: 'android', osVersion: '9', browser: 'Chrome' }],
    ['ExampleShop/42 CFNetwork/1410.0.3 Darwin/22.6.0', { device: '', platform: 'ios', osVersion: '', browser: '' }],
    ['okhttp/4.9.3', { device: '', platform: '', osVersion: '', browser: '' }],
    ['', { device: '', platform: '', osVersion: '', browser: '' }],
  ])('%s', (text, agent) => {
    expect(readUserAgent(text)).toEqual(agent);
  });

  it('of a megabyte costs no more than one of 500 characters', () => {
    const startMs = performance.now();
    for (const piece of ['(', 'Android ', '1.', 'Mozilla/5.0 (', 'iPhone OS 1_', ' ']) readUserAgent(piece.repeat(1_000_000 / piece.length));
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });
});
