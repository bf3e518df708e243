/**
 * A GeoIP file in MaxMind's format, read whole into memory: the only door to the maxmind package.
 *
 * Reads MaxMind's own shape of a record (`country.iso_code`, `continent.code`, `subdivisions`, `city.names`) and the flat one of open data sets
 * (`country_code`, `state1`, `city`). A lookup is a function of file and address and never raises: what a damaged record holds counts as
 * unknown. Any thread; each reads its own copy.
 */

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { Reader, type Response } from 'maxmind';
import { BoundedCache } from '../core/bounded-cache.ts';
import { dimensionValue } from '../core/dimension-value.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import type { Place, PlaceLookup } from '../core/rule-resources.ts';

/** Each thread that folds or encodes holds one. MaxMind's largest city file has 130 MB. Chosen. */
export const GEO_FILE_BYTES_MAX = 512 * 1024 ** 2;
/** In each of two generations: users come again from where they are. Chosen: 10 MB at most. */
const CACHED_MAX = 16_384;
const NAME_LANGUAGE = 'en';
/** An IPv4 address in the form of an IPv6 one. */
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

const UNKNOWN: Place = { country: '', region: '', state: '', city: '' };

export interface GeoFile {
  /** SHA-256 in hex. */
  readonly hash: string;
  readonly bytes: Buffer;
  readonly places: PlaceLookup;
}

/** Rejects CONFIG_INVALID for a file that is too large, cannot be read, or is no GeoIP file. `setting`: who names it. */
export async function readGeoFile(path: string, setting: string): Promise<GeoFile> {
  try {
    const { size } = await stat(path);
    if (size > GEO_FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, more than the ${GEO_FILE_BYTES_MAX} that are read`);
    const bytes = await readFile(path);
    return { hash: createHash('sha256').update(bytes).digest('hex'), bytes, places: openPlaces(bytes) };
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${setting}: ${path}: ${messageOf(error)}: name a file in MaxMind's format (.mmdb), or leave it empty`, { where: { path }, cause: error });
  }
}

/** Raises for bytes that are no file in MaxMind's format. */
export function openPlaces(bytes: Buffer): PlaceLookup {
  const reader = new Reader<Response>(bytes);
  const { ipVersion, nodeCount } = reader.metadata;
  if (!(nodeCount > 0) || (ipVersion !== 4 && ipVersion !== 6)) throw new Error('its metadata is damaged');
  // One that cannot even answer this is cut off.
  reader.get('192.0.2.1');
  const cache = new BoundedCache<Place>(CACHED_MAX);
  const known = (place: Place): Place | null => (place === UNKNOWN ? null : place);
  return {
    find: (address) => {
      const cached = cache.get(address);
      if (cached !== undefined) return known(cached);
      const place = placeIn(reader, address);
      cache.set(address, place);
      return known(place);
    },
  };
}

function placeIn(reader: Reader<Response>, text: string): Place {
  const address = MAPPED.exec(text)?.[1] ?? text;
  const version = isIP(address);
  // The walk through a tree of IPv4 addresses would end somewhere for the first bits of another.
  if (version === 0 || version > reader.metadata.ipVersion) return UNKNOWN;
  try {
    const record: unknown = reader.get(address);
    return record === null ? UNKNOWN : placeOf(record);
  } catch {
    return UNKNOWN;
  }
}

function placeOf(record: unknown): Place {
  const subdivision = at(record, 'subdivisions', 0);
  return {
    country: text(at(record, 'country', 'iso_code'), at(record, 'country_code')).toUpperCase(),
    region: text(at(record, 'continent', 'code'), at(record, 'continent_code')).toUpperCase(),
    state: text(at(subdivision, 'iso_code'), at(record, 'state1')),
    city: text(at(record, 'city', 'names', NAME_LANGUAGE), at(record, 'city')),
  };
}

function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const step of path) found = typeof found === 'object' && found !== null && Object.hasOwn(found, step) ? (found as Record<string | number, unknown>)[step] : undefined;
  return found;
}

/** The first that is a text. */
function text(...candidates: readonly unknown[]): string {
  for (const candidate of candidates) if (typeof candidate === 'string') return dimensionValue(candidate);
  return '';
}
