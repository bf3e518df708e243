import { describe, expect, it } from 'vitest';
import { USER_FIELDS, fieldName } from '../../../actors/appsflyer/fields.ts';
import { recordUsers } from '../../../actors/appsflyer/record-users.ts';

const usersIn = (text: string): { scope: string | null; users: readonly string[] } => {
  const bytes = Buffer.from(`xx${text}yy`);
  return recordUsers(bytes, 2, bytes.byteLength - 2);
};
const V = 'user-4711';

describe('the users that a record names', () => {
  it('are found under each name of a user, strings and numbers', () => {
    for (const field of USER_FIELDS) expect(usersIn(JSON.stringify({ app_id: 'a', [fieldName(field)]: V, other: 'n' }))).toEqual({ scope: 'a', users: [V] });
    expect(usersIn('{"customer_user_id" : 00123456789012345678 , "app_id":"id1"}')).toEqual({ scope: 'id1', users: ['00123456789012345678'] });
  });

  it('are found in event_value, as an object, as a string, and as one that was encoded twice', () => {
    const inner = JSON.stringify({ user_id: V, app_id: 'inner' });
    for (const value of [{ user_id: V, app_id: 'inner' }, inner, JSON.stringify(inner), { params: { userId: V } }]) {
      expect(usersIn(JSON.stringify({ event_value: value, app_id: 'a' })), JSON.stringify(value)).toEqual({ scope: 'a', users: [V] });
    }
  });

  it('are found in what is cut or no JSON, and whose app it is as far as it tells', () => {
    expect(usersIn(`{"appsflyer_id":"${V}","event_name":"cut`)).toEqual({ scope: null, users: [V] });
    expect(usersIn(`garbage "app_id":"a" "idfa":"${V}" }`)).toEqual({ scope: 'a', users: [V] });
    expect(usersIn(`{"idfa":"${V}`)).toEqual({ scope: null, users: [] });
  });

  it('are decoded: escapes of the value and of its name', () => {
    expect(usersIn('{"customer_user_id":"a\\"b\\\\"}').users).toEqual(['a"b\\']);
    expect(usersIn('{"customer_user_\\u0069d":"\\u00e4nn","app_id":"a"}')).toEqual({ scope: 'a', users: ['änn'] });
    expect(usersIn(JSON.stringify({ event_value: JSON.stringify({ customer_user_id: 'a"b' }) })).users).toEqual(['a"b']);
  });

  it('are none where a value stands for nobody, or is no text', () => {
    expect(usersIn('{"idfa":"00000000-0000-0000-0000-000000000000","idfv":null,"oaid":{},"imei":"null"}').users).toEqual([]);
    expect(usersIn('').users).toEqual([]);
  });

  it('take time in proportion to the bytes, whatever these are', () => {
    const size = 1_000_000;
    for (const hostile of ['\\', '"app_id\\', '"app_id":', '"app_id":"', `"idfa":\\"`, ' ', '"idfa" ', '"idfa":9', '"'.repeat(7)]) {
      const text = hostile.repeat(Math.ceil(size / hostile.length));
      const startMs = performance.now();
      usersIn(text);
      expect(performance.now() - startMs, JSON.stringify(hostile)).toBeLessThan(3_000);
    }
  });
});
