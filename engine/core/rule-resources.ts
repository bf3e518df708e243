/**
 * What journaled rules name and do not hold, because it is too large or too secret for the journal: files by their hash, secrets by their id.
 *
 * A pipeline asks for it when it reads its rules; whoever runs the pipeline (actor thread, pool, admin server) brings it along. What stands
 * behind a name never changes, so that a replay finds what was there on the day. {@link RuleResources} raises RULE_RESOURCE_MISSING for a
 * name that it does not have.
 */

import { assert } from './types.ts';

/** Where an address lies, as far as a file knows: '' for what it does not. Texts are fit to be dimension values. */
export interface Place {
  /** ISO 3166-1 code, upper case. */
  readonly country: string;
  /** Code of the continent, which is AppsFlyer's `region`. */
  readonly region: string;
  /** ISO 3166-2 code within the country. */
  readonly state: string;
  readonly city: string;
}

/** A function of the file and the address alone. Never raises; null for an address that the file does not know, or that is none. */
export interface PlaceLookup {
  find(address: string): Place | null;
}

export interface RuleResources {
  /** The file with this SHA-256 (hex). Read at once: later it need not be there any more. */
  places(hash: string): PlaceLookup;
  /** The secret with this id (core/secret-id.ts). */
  secret(id: string): Uint8Array;
}

/** Secrets by their id, where some may be asked for. */
export const secretsIn = (resources: RuleResources | undefined) => (id: string): Uint8Array => {
  assert(resources !== undefined, 'rules name a secret where no resources were brought along');
  return resources.secret(id);
};

/** Where nothing is folded and no record is read: state can be looked at without its files. */
export const NO_RESOURCES: RuleResources = {
  places: () => ({ find: () => null }),
  secret: () => new Uint8Array(0),
};
