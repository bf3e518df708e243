/**
 * The lake's `event_properties`: always JSON, so that a query engine can open the column without guarding each row.
 *
 * AppsFlyer may cut parameters after 1,000 characters, so that event_value is not always valid; what is not becomes a JSON string
 * holding the text as it came. An object that was encoded twice is the object. Rows of Pull reports have an object of what they carry beside.
 */

import type { TextBytes } from '../../engine/core/pipeline.ts';
import type { AppsflyerEvent } from './event.ts';
import { parametersOf } from './event-value.ts';
import { Field } from './fields.ts';

/** What the scanner says of a text; else it is no JSON. */
const YES = 1;
const TOO_DEEP = 2;
const QUOTE = 0x22;
const NOTHING = '{}';

/** JSON text, or null when the message carried no event_value. The bytes are valid until the next call. */
export function eventProperties(event: AppsflyerEvent): string | TextBytes | null {
  if (event.isReportRow) return event.fields.reportDetails === NOTHING ? null : event.fields.reportDetails;
  const range = event.fields.range(Field.eventValue);
  if (range === null) return null;
  const answer = event.fields.module.exports.isJson(range.start, range.end);
  if (answer === YES) return range.view.getUint8(range.start) === QUOTE ? (parametersOf(event.eventValue()) ?? range) : range;
  const text = event.eventValue();
  return answer === TOO_DEEP && isJson(text) ? range : JSON.stringify(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
