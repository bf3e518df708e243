/**
 * Which of AppsFlyer's message types a record is. `event_type` decides when it holds a documented value; otherwise
 * `conversion_type`, `campaign_type` and `event_name` do, by AppsFlyer's own table.
 *
 * ```
 * event_type                                    conversion_type  campaign_type   event_name
 * [organic-]install                             install          ua | organic    install
 * [organic-]install-in-app-event                install          ua | organic    the app's own
 * re-engagement[-in-app-event]                  re-engagement    retargeting     re-engagement [the app's own]
 * re-attribution[-in-app-event]                 reinstall        retargeting     re-attribution [the app's own]
 * [organic-]reinstall                           reinstall        ua | organic    reinstall
 * ```
 * A record without conversion_type is judged by its name alone: `install`, `reinstall`, `re-engagement` and `re-attribution` are
 * reserved, all other names are in-app events.
 */

import { RecordSource } from '../../engine/core/record.ts';
import type { Action } from './event.ts';

export interface MessageType {
  readonly eventType: string;
  readonly action: Action;
  readonly organic: boolean;
}

const type = (eventType: string, action: Action): MessageType => ({ eventType, action, organic: eventType.startsWith('organic-') });

const byName = (types: readonly MessageType[]): ReadonlyMap<string, MessageType> => new Map(types.map((each) => [each.eventType, each]));

const MESSAGE_TYPES = byName([
  type('install', 'install'),
  type('organic-install', 'install'),
  type('install-in-app-event', 'in-app'),
  type('organic-install-in-app-event', 'in-app'),
  type('re-engagement', 're-engagement'),
  type('re-engagement-in-app-event', 'in-app'),
  type('re-attribution', 're-attribution'),
  type('re-attribution-in-app-event', 'in-app'),
  type('reinstall', 'reinstall'),
  type('organic-reinstall', 'reinstall'),
]);

/** SKAdNetwork's own types, by its `event_type`; our names carry `skan-` so that they never mix with the others. */
const SKAN_TYPES: ReadonlyMap<string, MessageType> = new Map([
  ['install', type('skan-install', 'skan-install')],
  ['re-download', type('skan-re-download', 'skan-re-download')],
  ['in-app-event', type('skan-in-app-event', 'skan-in-app')],
  ['postback', type('skan-postback', 'skan-postback')],
  ['postbacks-copy', type('skan-postbacks-copy', 'skan-postbacks-copy')],
]);
const SKAN_INSTALL = SKAN_TYPES.get('install') as MessageType;
const SKAN_REDOWNLOAD = SKAN_TYPES.get('re-download') as MessageType;
const SKAN_IN_APP = SKAN_TYPES.get('in-app-event') as MessageType;

/** Values of `millrace_kind`, by the source for which ingress sets it. Anything else in it is a sender's word, and ignored. */
const OWN_KINDS: ReadonlyMap<number, ReadonlyMap<string, MessageType>> = new Map([
  [RecordSource.pull, byName([type('uninstall', 'uninstall'), type('blocked-install', 'blocked-install'), type('ad-revenue', 'ad-revenue')])],
  [RecordSource.s2s, byName([type('s2s-copy', 's2s-copy')])],
]);

export const ownKind = (kind: string, source: number): MessageType | undefined => OWN_KINDS.get(source)?.get(kind);

/** Texts are '' where the field is absent. */
export function messageType(eventType: string, eventName: string, conversionType: string, organic: boolean): MessageType {
  return MESSAGE_TYPES.get(eventType) ?? (MESSAGE_TYPES.get(derivedName(eventName, conversionType, organic)) as MessageType);
}

function derivedName(eventName: string, conversionType: string, organic: boolean): string {
  const prefix = organic ? 'organic-' : '';
  switch (conversionType) {
    case 'install':
      return eventName === 'install' ? `${prefix}install` : `${prefix}install-in-app-event`;
    case 're-engagement':
      return eventName === 're-engagement' ? 're-engagement' : 're-engagement-in-app-event';
    case 'reinstall':
    case 're-attribution':
      if (eventName === 're-attribution') return 're-attribution';
      return eventName === 'reinstall' ? `${prefix}reinstall` : 're-attribution-in-app-event';
    default:
      if (eventName === 're-engagement' || eventName === 're-attribution') return eventName;
      return eventName === 'install' || eventName === 'reinstall' ? `${prefix}${eventName}` : `${prefix}install-in-app-event`;
  }
}

/** The type of a SKAdNetwork message; without a documented event_type, its name and the redownload flag decide. */
export function skanMessageType(eventType: string, eventName: string, redownload: boolean): MessageType {
  return SKAN_TYPES.get(eventType) ?? (eventName !== 'install' ? SKAN_IN_APP : redownload ? SKAN_REDOWNLOAD : SKAN_INSTALL);
}
