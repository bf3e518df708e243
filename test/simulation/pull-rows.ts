/** Rows of Pull reports, made of pushed messages as AppsFlyer's reports have them: whole seconds, an empty cell for no value, no fields of Push alone. */

import { eventOf } from '../model/model-event.ts';

const PUSH_ONLY = ['event_time_selected_timezone', 'install_time_selected_timezone', 'selected_timezone', 'selected_currency', 'revenue_in_selected_currency', 'api_version', 'event_type'];
const SECONDS_LENGTH = 'yyyy-mm-dd hh:mm:ss'.length;

/** What makes it one event with others where seconds are compared; null for what no report has: garbage, SKAdNetwork, what came by GET. */
export function identityInSeconds(message: { readonly method: string; readonly body: string }): string | null {
  if (message.method !== 'POST') return null;
  const event = eventOf({ method: 'POST', body: message.body });
  return typeof event === 'string' || event.isSkan ? null : JSON.stringify([Math.floor(event.timeMs / 1_000), ...event.identity]);
}

export function pullRowOf(body: string): Buffer {
  const pushed = JSON.parse(body) as Record<string, string | number | boolean | null>;
  const row: Record<string, string> = {};
  for (const [name, value] of Object.entries(pushed)) {
    if (PUSH_ONLY.includes(name)) continue;
    // Every cell of a CSV file is a text.
    row[name] = value === null ? '' : String(value);
  }
  row['event_time'] = String(pushed['event_time']).slice(0, SECONDS_LENGTH);
  if (row['event_value'] === '{}' || row['event_value'] === undefined) row['event_value'] = '';
  return Buffer.from(JSON.stringify(row));
}
