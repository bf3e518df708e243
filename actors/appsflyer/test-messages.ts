/**
 * Messages that only try the endpoint: answered like any other, they end as TEST_MESSAGE, in no figure.
 *
 * What the dashboard's "Send Test" and the configuration API's `validate-url` send is stated nowhere in public; receivers know of it by its
 * shorter timeout alone. So both readings hold. A bare message (without app, event, time or user) is rejected for what it lacks and counts
 * nowhere either. One that looks like a whole event is known by its name: by one that is no advertiser's, or by a plain `test` of a user out of
 * AppsFlyer's public samples. What developers send from devices is theirs to name: an event `test` of a user that may be real counts.
 * Hot path: 100 K records a second, at most 50 ns a record; bench/micro/decode.ts.
 */

import type { FieldTable } from './field-table.ts';
import { Field } from './fields.ts';

/** As they may be written: with underscores, blanks or dashes, in lower case, with capitals or in them. */
const spellings = (names: readonly string[]): ReadonlySet<string> =>
  new Set(names.flatMap((name) => ['_', ' ', '-', ''].map((mark) => name.replaceAll('_', mark))).flatMap((name) => [name, name.toUpperCase(), name.replace(/(^|[ _-])[a-z]/g, (letter) => letter.toUpperCase())]));

const NAMES_OF_TESTS = spellings(['appsflyer_test', 'appsflyer_test_event', 'push_api_test', 'test_push_api', 'appsflyer_push_test', 'send_test', 'validate_url']);
/** Of tests only together with a sample's user. */
const PLAIN_NAMES = spellings(['test', 'test_event', 'test_message', 'event_name']);
/** `appsflyer_id` in the samples of the developer hub and of the help centre. */
const SAMPLE_USERS: ReadonlySet<string> = new Set(['1234567890123-1234567', '1600009251234-1234567', '1547985076649-5309999', '1644179019889-6748098']);

/** Whether a record that has an event name only tries the endpoint. */
export function isTestMessage(eventName: string, fields: FieldTable): boolean {
  if (PLAIN_NAMES.has(eventName)) return SAMPLE_USERS.has(fields.value(Field.appsflyerId));
  return NAMES_OF_TESTS.has(eventName);
}
