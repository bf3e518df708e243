/** Bodies that must be rejected, each with its code: what a broken or hostile sender could send. Pure. */

import type { RejectCode } from '../../../engine/core/record.ts';
import type { Fields } from './encode.ts';
import type { Random } from './random.ts';

const ID_FIELDS = ['appsflyer_id', 'customer_user_id', 'advertising_id', 'idfa', 'idfv', 'android_id'];
const UNREADABLE_TIMES = ['yesterday', '2026-13-45 99:00:00.000', '', '1718000000', '03.05.2026 10:15', '2026-02-30 10:00:00.000'] as const;
const NOT_JSON = ['hello', '<xml/>', '{app_id:1}', "{'app_id':'com.example'}", '{"app_id":"com.example",}', '{"a":01}', '\u0000', '{"app_id":"com.example"'] as const;
const NOT_OBJECTS = ['[]', '"install"', '42', 'null', 'true', '[{"app_id":"com.example"}]'] as const;

const PLACEHOLDERS = ['00000000-0000-0000-0000-000000000000', '', null, '0'] as const;

type Maker = (fields: Fields, random: Random) => string;
const without = (fields: Fields, name: string): string => JSON.stringify({ ...fields, [name]: undefined });

const MAKERS: readonly [readonly [RejectCode, Maker], ...(readonly [RejectCode, Maker])[]] = [
  ['NOT_JSON', (_fields, random) => random.pick(NOT_JSON)],
  [
    'NOT_JSON',
    (fields, random) => {
      const body = JSON.stringify(fields);
      return body.slice(0, random.between(1, body.length - 1));
    },
  ],
  ['NOT_OBJECT', (_fields, random) => random.pick(NOT_OBJECTS)],
  ['NO_APP_ID', (fields) => without(fields, 'app_id')],
  ['NO_EVENT_NAME', (fields, random) => JSON.stringify({ ...fields, event_name: random.pick([null, '']) })],
  ['BAD_EVENT_TIME', (fields, random) => JSON.stringify({ ...fields, event_time: random.pick(UNREADABLE_TIMES) })],
  ['BAD_EVENT_TIME', (fields) => without(fields, 'event_time')],
  // Far enough for every clock that will ever send this.
  ['FUTURE_EVENT_TIME', (fields) => JSON.stringify({ ...fields, event_time: '2099-01-01 00:00:00.000' })],
  ['NO_IDENTITY', (fields, random) => JSON.stringify({ ...fields, ...Object.fromEntries(ID_FIELDS.map((name) => [name, random.pick(PLACEHOLDERS)])) })],
];

/** Spoils `fields`, those of an ordinary message. */
export function makeGarbage(fields: Fields, random: Random): { body: string; code: RejectCode } {
  const [code, make] = random.pick(MAKERS);
  return { body: make(fields, random), code };
}
