/**
 * The lake's `event_properties`: always JSON, so that a query engine can open the column without guarding each row.
 *
 * AppsFlyer may cut parameters after 1,000 characters, so that event_value is not always valid; what is not becomes a JSON string
 * holding the text as it came.
 */

import type { TextBytes } from '../../engine/core/pipeline.ts';
import type { AppsflyerEvent } from './event.ts';
import { Field } from './fields.ts';

/** What the scanner says of a text; else it is no JSON. */
const YES = 1;
const TOO_DEEP = 2;

/** JSON text, or null when the message carried no event_value. The bytes are valid until the next call. */
export function eventProperties(event: AppsflyerEvent): string | TextBytes | null {
  const range = event.fields.range(Field.eventValue);
  if (range === null) return null;
  const answer = event.fields.module.exports.isJson(range.start, range.end);
  if (answer === YES) return range;
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
