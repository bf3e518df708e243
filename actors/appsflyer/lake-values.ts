/**
 * Values of the lake's columns that enrichment may fill in and a privacy policy may hide: what was sent, else what was found, then what may be shown.
 *
 * Where neither is on (`event.enrichment` and `event.shield` are null) each is the field as it was sent.
 */

import type { TextBytes } from '../../engine/core/pipeline.ts';
import { platformOfApp, UNKNOWN } from './derivations.ts';
import type { AppsflyerEvent } from './event.ts';
import { eventProperties } from './event-properties.ts';
import { Field } from './fields.ts';

const textOrNull = (text: string): string | null => (text === '' ? null : text);

/** One of the places of an event, as a text column. */
function place(field: Field, name: 'region' | 'state' | 'city') {
  return (event: AppsflyerEvent): string | null => {
    const text = event.fields.value(field) || (event.enrichment?.placeOf(event)[name] ?? '');
    return textOrNull(event.shield === null ? text : event.shield.text(field, text));
  };
}

export const region = place(Field.region, 'region');
export const state = place(Field.state, 'state');
export const city = place(Field.city, 'city');

export const osVersion = (event: AppsflyerEvent): string | null => textOrNull(event.fields.value(Field.osVersion) || (event.enrichment?.agentOf(event).osVersion ?? ''));

/** AppsFlyer sends none. */
export const browser = (event: AppsflyerEvent): string | null => textOrNull(event.enrichment?.agentOf(event).browser ?? '');

/** Names of the columns that were filled in, joined by commas; null for none. */
export function enriched(event: AppsflyerEvent): string | null {
  const { enrichment, fields } = event;
  if (enrichment === null) return null;
  const place = enrichment.placeOf(event);
  const agent = enrichment.agentOf(event);
  let names = '';
  if (place.country !== '' && !fields.has(Field.countryCode)) names += ',country';
  if (agent.device !== '' && !fields.has(Field.deviceCategory)) names += ',device';
  if (agent.platform !== '' && !fields.has(Field.platform) && platformOfApp(event.appId) === UNKNOWN) names += ',platform';
  if (place.region !== '' && !fields.has(Field.region)) names += ',region';
  if (place.state !== '' && !fields.has(Field.state)) names += ',state';
  if (place.city !== '' && !fields.has(Field.city)) names += ',city';
  if (agent.osVersion !== '' && !fields.has(Field.osVersion)) names += ',os_version';
  if (agent.browser !== '') names += ',browser';
  return names === '' ? null : names.slice(1);
}

export function userId(event: AppsflyerEvent): string | TextBytes | null {
  if (event.shield === null || event.userField < 0) return event.userId();
  return event.shield.bytes(event.userField as Field, event.fields);
}

export function properties(event: AppsflyerEvent): string | TextBytes | null {
  const json = eventProperties(event);
  return event.shield === null || json === null ? json : event.shield.properties(json, event);
}
