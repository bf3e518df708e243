/**
 * The lake's `event_properties`: always JSON, so that a query engine can open the column without guarding each row.
 *
 * AppsFlyer may cut parameters after 1,000 characters, so that event_value is not always valid; what is not becomes a JSON string
 * holding the text as it came.
 */

import type { AppsflyerEvent } from './event.ts';

/** JSON text, or null when the message carried no event_value. */
export function eventProperties(event: AppsflyerEvent): string | null {
  const text = event.eventValue();
  if (text === '') return null;
  return isJson(text) ? text : JSON.stringify(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
