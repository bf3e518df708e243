import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RecordSource } from '../../../engine/core/record.ts';

const decoded = (fields: Readonly<Record<string, unknown>>): unknown => {
  const bytes = Buffer.from(JSON.stringify({ app_id: 'com.example.shop', event_time: '2026-11-22 10:00:00.000', appsflyer_id: '1718000000123-4500123456789012345', ...fields }));
  const event = appsflyerPipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  return typeof event === 'string' ? event : 'event';
};

describe('a message that only tries the endpoint', () => {
  it.each(['appsflyer_test', 'AppsFlyer-Test'.toLowerCase(), 'Push Api Test', 'SEND_TEST', 'send test', 'validate-url'])('is known by the name %s, whosever it is', (name) => {
    expect(decoded({ event_name: name })).toBe('TEST_MESSAGE');
    expect(decoded({ event_name: name, appsflyer_id: undefined, event_time: undefined })).toBe('TEST_MESSAGE');
  });

  it('is known by a plain name and a user out of the public samples', () => {
    expect(decoded({ event_name: 'Test', appsflyer_id: '1234567890123-1234567' })).toBe('TEST_MESSAGE');
    expect(decoded({ event_name: 'test_event', appsflyer_id: '1547985076649-5309999' })).toBe('TEST_MESSAGE');
  });

  it('is not what an app sends: an event named test of a user that may be real, and an event of a sample user that has a name', () => {
    expect(decoded({ event_name: 'test' })).toBe('event');
    expect(decoded({ event_name: 'test_event', appsflyer_id: undefined, customer_user_id: 'u-1' })).toBe('event');
    expect(decoded({ event_name: 'af_purchase', appsflyer_id: '1234567890123-1234567' })).toBe('event');
    expect(decoded({ event_name: 'testing' })).toBe('event');
  });

  it('that is bare is rejected for what it lacks', () => {
    expect(decoded({ app_id: undefined })).toBe('NO_APP_ID');
    expect(decoded({})).toBe('NO_EVENT_NAME');
    expect(decoded({ event_name: 'install', event_time: undefined })).toBe('BAD_EVENT_TIME');
  });
});
