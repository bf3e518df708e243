import { describe, expect, it } from 'vitest';
import { configDifference, isSameConfig, mergedConfig, missingOf, neededFields, problemOfUrl, shownUrl, type PushConfig, type PushEndpoint, type WantedEndpoint } from '../../../actors/appsflyer/push-config.ts';

const WANTED: WantedEndpoint = { url: 'https://events.example.com/v1/appsflyer/push', entity: 'appsflyer', eventTypes: ['install', 'install-in-app-event'], fields: ['app_id', 'event_name'] };
const other = (at: number): PushEndpoint => ({ url: `https://other.example.com/${at}`, method: 'GET', enabled: true, new_setting: [1, { a: 2 }] });
const merged = (current: PushConfig, ...wanted: WantedEndpoint[]): PushConfig => {
  const result = mergedConfig(current, wanted);
  if ('problem' in result) throw new Error(result.problem);
  return result;
};

describe('the merged configuration', () => {
  it('keeps what is not ours to the letter, keys that are not known included', () => {
    const current = { endpoints: [other(1), other(2)] };
    expect(merged(current, WANTED).endpoints.slice(0, 2)).toEqual(current.endpoints);
  });

  it('names in-app events where in-app types are selected, and nowhere else', () => {
    expect(merged({ endpoints: [] }, WANTED).endpoints[0]).toHaveProperty('selected_inapps', 'all');
    expect(merged({ endpoints: [] }, { ...WANTED, eventTypes: ['install'] }).endpoints[0]).not.toHaveProperty('selected_inapps');
    expect(merged({ endpoints: [] }, { ...WANTED, entity: 'skadnetwork', eventTypes: ['in-app-event'], fields: null }).endpoints[0]).toEqual({ method: 'POST', url: WANTED.url, attributing_entity: 'skadnetwork', event_types: ['in-app-event'], enabled: true });
  });

  it('takes nothing from an endpoint at the same address', () => {
    const there = { url: WANTED.url, method: 'GET', event_types: ['reinstall'], selected_inapps: ['af_purchase'], enabled: false };
    const fieldsAfter = (before: string | readonly string[], fields: WantedEndpoint['fields']): unknown => merged({ endpoints: [{ ...there, selected_fields: before }] }, { ...WANTED, fields }).endpoints[0]?.selected_fields;
    expect(merged({ endpoints: [there] }, WANTED).endpoints[0]).toMatchObject({ method: 'GET', enabled: true, selected_inapps: ['af_purchase'], event_types: ['reinstall', 'install', 'install-in-app-event'] });
    expect([fieldsAfter('all', ['a']), fieldsAfter(['city', 'app_id'], ['app_id', 'x']), fieldsAfter('default', ['a']), fieldsAfter(['a'], 'all')]).toEqual(['all', ['city', 'app_id', 'x'], ['a'], 'all']);
  });

  it('is refused beyond six endpoints, and at an address of another entity', () => {
    expect(mergedConfig({ endpoints: [1, 2, 3, 4, 5, 6].map(other) }, [WANTED])).toMatchObject({ problem: expect.stringContaining('7 endpoints') as string });
    expect(mergedConfig({ endpoints: [{ url: WANTED.url, attributing_entity: 'skadnetwork' }] }, [WANTED])).toMatchObject({ problem: expect.stringContaining('skadnetwork') as string });
  });

  it('selects what figures and identities depend on, out of what is offered, and no data of people besides', () => {
    expect(neededFields(['city', 'ip', 'app_id', 'event_revenue_usd', 'is_primary_attribution', 'customer_user_id', 'user_agent', 'event_type'])).toEqual(['app_id', 'event_revenue_usd', 'is_primary_attribution', 'customer_user_id', 'event_type']);
  });
});

describe('the difference', () => {
  it('tells endpoints and settings that come, go and change, and shows no secret', () => {
    const before = { endpoints: [{ url: 'https://a.example.com/p?token=s3cret', enabled: true, event_types: ['install', 'reinstall'] }, { url: 'https://b.example.com/' }] };
    const after = { endpoints: [{ url: 'https://a.example.com/p?token=s3cret', enabled: false, event_types: ['install', 're-engagement'] }, { url: 'https://c.example.com/', method: 'POST' }] };
    expect(configDifference(before, after)).toEqual(['~ https://a.example.com/p?token=…', '    ~ enabled: true → false', '    + event_types: re-engagement', '    - event_types: reinstall', '+ https://c.example.com/', '    + method: POST', '- https://b.example.com/']);
    expect(shownUrl('https://user:s3cret@a.example.com/?x=s3cret&y')).toBe('https://…@a.example.com/?x=…&y=…');
    expect(shownUrl('no address?s3cret')).toBe('no address?…');
  });

  it('is none where lists stand in another order, and tells an endpoint that has gone', () => {
    expect(isSameConfig({ endpoints: [{ url: 'https://a.example.com/', event_types: ['a', 'b'] }] }, { endpoints: [{ url: 'https://a.example.com/', event_types: ['b', 'a'] }] })).toBe(true);
    expect(isSameConfig({ endpoints: [other(1), other(2)] }, { endpoints: [other(1)] })).toBe(false);
  });

  it('of what was put leaves out settings that are there besides', () => {
    expect(missingOf({ endpoints: [{ ...other(1), version: 2 }] }, { endpoints: [other(1)] })).toEqual([]);
    expect(missingOf({ endpoints: [{ ...other(1), enabled: false }] }, { endpoints: [other(1), other(2)] })).toEqual(['~ https://other.example.com/1', '    ~ enabled: false → true', '+ https://other.example.com/2']);
  });
});

describe('an address', () => {
  it('is one that AppsFlyer calls', () => {
    for (const url of ['https://events.example.com/p', 'http://events.example.com/', 'https://events.example.com:443/p', 'http://127.0.0.1:8080/p']) expect(problemOfUrl(url)).toBeNull();
    for (const url of ['events.example.com/p', 'ftp://events.example.com/', 'https://events.example.com:8443/', `https://events.example.com/${'x'.repeat(2_048)}`]) expect(problemOfUrl(url)).not.toBeNull();
  });
});
