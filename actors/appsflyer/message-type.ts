/**
 * Which of AppsFlyer's message types a record is. `event_type` decides when it holds a documented value, in any case and in the spelling of the
 * Push settings too (`install-in-app-events-organic`); otherwise `conversion_type`, `campaign_type` and `event_name` do, by AppsFlyer's own table.
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
 * reserved, all other names are in-app events. `in-app-event` is Push v1's type of every in-app event, whatever its name.
 */

import { RecordSource } from '../../engine/core/record.ts';
import type { Action } from './event.ts';

export interface MessageType {
  readonly eventType: string;
  readonly action: Action;
}

const ORGANIC = 'organic-';
const type = (eventType: string, action: Action): MessageType => ({ eventType, action });

const byName = (types: readonly MessageType[]): ReadonlyMap<string, MessageType> => new Map(types.map((each) => [each.eventType, each]));

const DOCUMENTED_TYPES = byName([
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

/** As the settings of Push spell a type: in-app events in the plural, `organic` at the end. */
function spelledInSettings(eventType: string): string {
  const plain = eventType.startsWith(ORGANIC) ? eventType.slice(ORGANIC.length) : eventType;
  const plural = plain.endsWith('-in-app-event') ? `${plain}s` : plain;
  return plain === eventType ? plural : `${plural}-organic`;
}

const MESSAGE_TYPES: ReadonlyMap<string, MessageType> = new Map([...DOCUMENTED_TYPES].flatMap(([name, each]) => [[name, each], [spelledInSettings(name), each]]));

const ORGANIC_TWINS: ReadonlyMap<MessageType, MessageType> = new Map(
  [...DOCUMENTED_TYPES].flatMap(([name, each]) => {
    const twin = DOCUMENTED_TYPES.get(ORGANIC + name);
    return twin === undefined ? [] : [[each, twin]];
  }),
);

/** SKAdNetwork's own types, by its `event_type`; our names carry `skan-` so that they never mix with the others. */
const SKAN_TYPES: ReadonlyMap<string, MessageType> = new Map([
  ['install', type('skan-install', 'skan-install')],
  ['re-download', type('skan-re-download', 'skan-re-download')],
  ['in-app-event', type('skan-in-app-event', 'skan-in-app')],
  ['postback', type('skan-postback', 'skan-postback')],
  ['postbacks-copy', type('skan-postbacks-copy', 'skan-postbacks-copy')],
]);
/** Names that AppsFlyer gives to the events of SKAdNetwork's installs. */
const SKAN_INSTALL_NAMES: ReadonlySet<string> = new Set(['install', 'af_skad_install']);
const SKAN_REDOWNLOAD_NAME = 'af_skad_redownload';
const SKAN_INSTALL = SKAN_TYPES.get('install') as MessageType;
const SKAN_REDOWNLOAD = SKAN_TYPES.get('re-download') as MessageType;
const SKAN_IN_APP = SKAN_TYPES.get('in-app-event') as MessageType;

/** Of records of the S2S route, whatever they say of themselves, unless the rules give their app's word to them. */
export const S2S_COPY = type('s2s-copy', 's2s-copy');
export const S2S_EVENT = type('s2s-in-app-event', 'in-app');

/**
 * Values of `millrace_kind`, which ingress sets on rows of Pull reports; anything else in it, and in records of other sources, is a sender's word, and
 * ignored. `detection` is an install that was found to be fraud after it had counted; blocked in-app events are in the lake alone.
 */
const REPORT_KINDS = byName([
  type('uninstall', 'uninstall'),
  type('blocked-install', 'blocked-install'),
  type('detection', 'blocked-install'),
  type('blocked-event', 'blocked-event'),
  type('ad-revenue', 'ad-revenue'),
]);

export const ownKind = (kind: string, source: number): MessageType | undefined => (source === RecordSource.pull ? REPORT_KINDS.get(kind) : undefined);

/** By the name that the lake has of it, and whether such records stand in the metrics of attribution; undefined for a name that is none. */
export const typeNamed = (eventType: string): (MessageType & { readonly isAttributed: boolean }) | undefined => NAMED_TYPES.get(eventType);

const NAMED_TYPES: ReadonlyMap<string, MessageType & { readonly isAttributed: boolean }> = new Map(
  [
    ...[...DOCUMENTED_TYPES.values(), S2S_EVENT].map((each) => ({ ...each, isAttributed: true })),
    ...[...SKAN_TYPES.values(), ...REPORT_KINDS.values(), S2S_COPY].map((each) => ({ ...each, isAttributed: false })),
  ].map((each) => [each.eventType, each]),
);

/** Texts are '' where the field is absent. */
export function messageType(eventType: string, eventName: string, conversionType: string, organic: boolean): MessageType {
  const told = eventType === '' ? undefined : (MESSAGE_TYPES.get(eventType) ?? MESSAGE_TYPES.get(eventType.toLowerCase()));
  if (told === undefined) {
    const name = eventType === IN_APP_OF_V1 && conversionType === '' ? '' : eventName;
    return MESSAGE_TYPES.get(derivedName(name, conversionType, organic)) as MessageType;
  }
  // v1 says `install` of both.
  return organic ? (ORGANIC_TWINS.get(told) ?? told) : told;
}

const IN_APP_OF_V1 = 'in-app-event';

function derivedName(eventName: string, conversionType: string, organic: boolean): string {
  const prefix = organic ? ORGANIC : '';
  switch (conversionType.toLowerCase()) {
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
  const told = SKAN_TYPES.get(eventType) ?? SKAN_TYPES.get(eventType.toLowerCase());
  if (told !== undefined) return told;
  if (eventName === SKAN_REDOWNLOAD_NAME) return SKAN_REDOWNLOAD;
  return !SKAN_INSTALL_NAMES.has(eventName) ? SKAN_IN_APP : redownload ? SKAN_REDOWNLOAD : SKAN_INSTALL;
}
