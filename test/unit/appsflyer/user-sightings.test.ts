import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../actors/appsflyer/decode.ts';
import { UserSightings } from '../../../actors/appsflyer/user-sightings.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { encode, PURCHASE, SKAN_INSTALL, variant } from './messages.ts';

const decode = createDecoder();

function see(sightings: UserSightings, source: RecordSource, changes: Record<string, unknown>, times = 1, message: Readonly<Record<string, unknown>> = PURCHASE): void {
  for (let at = 0; at < times; at++) {
    const bytes = encode(variant(message, changes));
    const event = decode(bytes, 0, bytes.byteLength, source, 0);
    if (typeof event === 'string') throw new Error(event);
    sightings.see(event, source);
  }
}

const BY_CUSTOMER = { appsflyer_id: undefined };
const alarms = (...threads: UserSightings[]): string[] => new UserSightings().alarms(threads.map(({ counts }) => counts()));

describe('how sources name their users', () => {
  it('is told where Push and Pull do it by different fields, with the app and what to select', () => {
    const sightings = new UserSightings();
    see(sightings, RecordSource.push, BY_CUSTOMER, 10);
    see(sightings, RecordSource.pull, {}, 10);
    expect(alarms(sightings)).toEqual([
      'app com.example.shop: Push names its users by customer_user_id, Pull by appsflyer_id, so that no event of the two is one and both count: select appsflyer_id among the fields of the Push API',
    ]);
    const turned = new UserSightings();
    see(turned, RecordSource.pull, BY_CUSTOMER, 10);
    see(turned, RecordSource.push, {}, 10);
    expect(alarms(turned)[0]).toMatch(/Push names its users by appsflyer_id, Pull by customer_user_id.*: let the Pull reports have appsflyer_id/);
  });

  it('names event_value where it alone hides the users', () => {
    const sightings = new UserSightings();
    see(sightings, RecordSource.push, { appsflyer_id: undefined, customer_user_id: undefined, advertising_id: undefined, event_value: '{"user_id":"u7"}' }, 10);
    see(sightings, RecordSource.pull, {}, 10);
    expect(alarms(sightings)).toEqual([expect.stringMatching(/Push names its users by event_value, Pull by appsflyer_id.*: select appsflyer_id among the fields of the Push API/)]);
  });

  it('is judged over all threads together, each app by itself', () => {
    const one = new UserSightings();
    const other = new UserSightings();
    for (const app_id of ['id1', 'id2']) {
      see(one, RecordSource.push, { ...BY_CUSTOMER, app_id }, 6);
      see(other, RecordSource.pushGet, { ...BY_CUSTOMER, app_id }, 6);
    }
    see(other, RecordSource.pull, { app_id: 'id2' }, 12);
    see(other, RecordSource.pull, { ...BY_CUSTOMER, app_id: 'id1' }, 12);
    expect(alarms(one, other)).toEqual([expect.stringMatching(/^app id2: /)]);
  });

  it('is no matter where they agree, are mixed, are too few, or are of other kinds', () => {
    const sightings = new UserSightings();
    see(sightings, RecordSource.push, {}, 50);
    see(sightings, RecordSource.pull, {}, 50);
    see(sightings, RecordSource.push, { app_id: 'mixed' }, 8);
    see(sightings, RecordSource.push, { ...BY_CUSTOMER, app_id: 'mixed' }, 8);
    see(sightings, RecordSource.pull, { app_id: 'mixed' }, 20);
    see(sightings, RecordSource.push, { ...BY_CUSTOMER, app_id: 'few' }, 9);
    see(sightings, RecordSource.pull, { app_id: 'few' }, 20);
    see(sightings, RecordSource.s2s, { ...BY_CUSTOMER, app_id: 'copies' }, 20);
    see(sightings, RecordSource.pull, { app_id: 'copies' }, 20);
    see(sightings, RecordSource.push, {}, 20, SKAN_INSTALL);
    expect(alarms(sightings)).toEqual([]);
  });

  it('goes once settings are mended, within some hundred records', () => {
    const sightings = new UserSightings();
    see(sightings, RecordSource.push, BY_CUSTOMER, 5_000);
    see(sightings, RecordSource.pull, {}, 5_000);
    expect(alarms(sightings)).toHaveLength(1);
    see(sightings, RecordSource.push, {}, 200);
    expect(alarms(sightings)).toEqual([]);
  });

  it('takes no more memory than a hundred apps do', () => {
    const sightings = new UserSightings();
    for (let app = 0; app < 1_000; app++) see(sightings, RecordSource.push, { app_id: `app${app}` });
    expect(Object.keys(sightings.counts())).toHaveLength(100);
  });
});
