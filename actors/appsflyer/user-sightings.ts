/**
 * By which field Push and Pull name the users of each app, as far as one thread has seen lately. Where they name them by different ones, the same
 * event has two identities, nothing of the two sources is one, and everything counts twice: somebody must be told.
 *
 * Beside all state: a thread begins anew with nothing. Bounded: {@link APPS_MAX} apps; of each app and source, counts are halved when they
 * reach {@link COUNTS_MAX}, so that settings that were mended show within as many records. Asked for each record in mode
 * `push+pull-seconds`: about 20 ns (a map by app, no allocation after an app's first record). Owned by the thread.
 */

import type { SightingCounts, Sightings } from '../../engine/core/pipeline.ts';
import { RecordSource } from '../../engine/core/record.ts';
import type { AppsflyerEvent } from './event.ts';
import { Field, fieldName, MadeField, USER_FIELDS } from './fields.ts';

/** Apps that are watched; further ones are not. Chosen: with their counts a few tens of KiB. */
const APPS_MAX = 100;
const COUNTS_MAX = 1_024;
/** Records of each source that make a judgement, and the share of one field in them from which on it is the source's. Chosen. */
const RECORDS_MIN = 10;
const SHARE_MIN = 0.9;
const SOURCES = ['push', 'pull'] as const;
type Source = (typeof SOURCES)[number];

interface Counts {
  /** By number of a user field; that of a user hidden in event_value is the highest. */
  readonly byField: Uint32Array;
  total: number;
}

type App = Readonly<Record<Source, Counts>>;

/** Copies that others make of messages are none of the two. */
function sourceOf(source: number): Source | null {
  if (source === RecordSource.pull) return 'pull';
  return source === RecordSource.push || source === RecordSource.pushGet || source === RecordSource.events ? 'push' : null;
}

const emptyCounts = (): Counts => ({ byField: new Uint32Array(MadeField.hiddenUser + 1), total: 0 });

export class UserSightings implements Sightings<AppsflyerEvent> {
  readonly #apps = new Map<string, App>();

  readonly see = (event: AppsflyerEvent, source: number): void => {
    const kind = sourceOf(source);
    if (kind === null || event.userField < 0 || !event.isAttributed) return;
    const app = this.#apps.get(event.appId) ?? this.#add(event.appId);
    if (app === null) return;
    const counts = app[kind];
    (counts.byField[event.userField] as number)++;
    if (++counts.total >= COUNTS_MAX) halve(counts);
  };

  /** Named `<app>\n<source>\n<field>`: an app id is a dimension value, which holds no control characters. */
  readonly counts = (): SightingCounts => {
    const counts: Record<string, number> = {};
    for (const [app, sources] of this.#apps) {
      for (const source of SOURCES) {
        sources[source].byField.forEach((count, field) => {
          if (count > 0) counts[`${app}\n${source}\n${nameOf(field)}`] = count;
        });
      }
    }
    return counts;
  };

  readonly alarms = (all: Iterable<SightingCounts>): string[] => {
    const apps = new Map<string, Record<Source, Map<string, number>>>();
    for (const counts of all) {
      for (const [name, count] of Object.entries(counts)) {
        const [app, source, field] = name.split('\n') as [string, Source, string];
        const sources = apps.get(app) ?? { push: new Map<string, number>(), pull: new Map<string, number>() };
        apps.set(app, sources);
        sources[source].set(field, (sources[source].get(field) ?? 0) + count);
      }
    }
    const alarms: string[] = [];
    for (const [app, { push, pull }] of [...apps].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const pushField = mainField(push);
      const pullField = mainField(pull);
      if (pushField !== null && pullField !== null && pushField !== pullField) alarms.push(alarmOf(app, pushField, pullField));
    }
    return alarms;
  };

  #add(appId: string): App | null {
    if (this.#apps.size >= APPS_MAX) return null;
    const app = { push: emptyCounts(), pull: emptyCounts() };
    this.#apps.set(appId, app);
    return app;
  }
}

function halve(counts: Counts): void {
  counts.total = 0;
  for (let field = 0; field < counts.byField.length; field++) {
    const half = (counts.byField[field] as number) >> 1;
    counts.byField[field] = half;
    counts.total += half;
  }
}

/** The field that names nearly all users of a source; null while there are too few records, or no such field. */
function mainField(counts: ReadonlyMap<string, number>): string | null {
  let total = 0;
  let most = 0;
  let main: string | null = null;
  for (const [field, count] of counts) {
    total += count;
    if (count <= most) continue;
    most = count;
    main = field;
  }
  return total >= RECORDS_MIN && most >= total * SHARE_MIN ? main : null;
}

/** Where a user was found whom only event_value names. */
const nameOf = (field: number): string => (field === MadeField.hiddenUser ? fieldName(Field.eventValue) : fieldName(field as Field));

/** In order of preference. */
const USER_FIELD_NAMES: readonly string[] = [...USER_FIELDS, MadeField.hiddenUser].map(nameOf);

/** The field that comes first decides wherever it is there: the other source lacks it. */
function alarmOf(app: string, push: string, pull: string): string {
  const told = `app ${app}: Push names its users by ${push}, Pull by ${pull}, so that no event of the two is one and both count`;
  return USER_FIELD_NAMES.indexOf(pull) < USER_FIELD_NAMES.indexOf(push)
    ? `${told}: select ${pull} among the fields of the Push API`
    : `${told}: let the Pull reports have ${push}, or take it out of the fields of the Push API if ${pull} is among them`;
}
