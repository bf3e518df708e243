/**
 * Erasures as the journal has them: of one user, who stands in it as a keyed hash, so that the journal does not hold what is to be erased; or of some
 * days of an app (a purge, told apart in purged-days.ts). And which users are meant.
 *
 * It is effective at its offset: records before it that may be meant are left out of what is written from then on and removed from what is kept;
 * records after it are stored as ever. It changes no verdict and no cell.
 */

import { createHmac } from 'node:crypto';
import { BoundedCache } from './bounded-cache.ts';

interface ErasureName {
  /** Names it in receipts: 16 hex digits. */
  readonly id: string;
  /** The pipeline's scope of users (an app), in clear. */
  readonly scope: string;
  readonly atMs: number;
}

export interface UserErasure extends ErasureName {
  /** {@link userKey} of the user. */
  readonly user: string;
  /** Id of the secret of that hash. */
  readonly secret: string;
}

/** Whole UTC days of a scope: records by event time, dead letters by when they were received. Its cells have gone before it is journaled. */
export interface Purge extends ErasureName {
  readonly days: { readonly fromMs: number; readonly toMs: number };
}

export type Erasure = UserErasure | Purge;

export const isPurge = (erasure: Erasure): erasure is Purge => 'days' in erasure;

/** Equal for erasures that mean the same records, but for how far they reach. */
export const meaningOf = (erasure: Erasure): string =>
  isPurge(erasure) ? JSON.stringify([erasure.scope, erasure.days.fromMs, erasure.days.toMs]) : JSON.stringify([erasure.scope, erasure.user, erasure.secret]);

/** An erasure and the last record that it means: by its number in its partition, unless something else is said. */
export type PlacedErasure = readonly [upTo: number, erasure: Erasure];

/** How far a partition has come with one. */
export interface ErasureProgress {
  readonly id: string;
  /** Of the batch that it came with: records of earlier batches are meant. */
  readonly batchSequence: number;
  /** When that batch was received: lake rows received later are not meant. Absent in states of before it was noted. */
  readonly receivedAtMs?: number;
  readonly lettersRemoved: number;
  /** All its dead letters have been looked at. */
  readonly isDone: boolean;
}

/** Whose a record may be. `scope` null: its bytes do not tell. */
export interface RecordUsers {
  readonly scope: string | null;
  readonly users: readonly string[];
}

type PlacedUserErasure = readonly [upTo: number, erasure: UserErasure];

const KEY_DIGITS = 32;
/** In each of two generations: an HMAC costs 3 µs, and users come again. Chosen: 10 MB at most. */
const CACHED_MAX = 32_768;
const CACHED_CHARACTERS_MAX = 128;

/** 32 hex digits that stand for a user of a scope. */
export const userKey = (secret: Uint8Array, { scope, user }: { readonly scope: string; readonly user: string }): string =>
  createHmac('sha256', secret).update(`millrace erasure\n${scope}\n${user}`).digest('hex').slice(0, KEY_DIGITS);

/** Answers for a list of erasures whether a record is of one of their users; purges in it mean no user. Raises RULE_RESOURCE_MISSING for a secret that is not there. */
export class ErasedUsers {
  /** By secret, scope and user. */
  readonly #erasures = new Map<string, PlacedUserErasure>();
  readonly #scopes: ReadonlySet<string>;
  readonly #secrets: ReadonlyMap<string, Uint8Array>;
  readonly #keys = new BoundedCache<string>(CACHED_MAX);

  constructor(all: readonly PlacedErasure[], secretOf: (id: string) => Uint8Array) {
    const erasures = all.filter((placed): placed is PlacedUserErasure => !isPurge(placed[1]));
    for (const placed of erasures) {
      const [upTo, { secret, scope, user }] = placed;
      const name = `${secret} ${scope} ${user}`;
      if (upTo >= (this.#erasures.get(name)?.[0] ?? -1)) this.#erasures.set(name, placed);
    }
    this.#scopes = new Set(erasures.map(([, { scope }]) => scope));
    this.#secrets = new Map([...new Set(erasures.map(([, { secret }]) => secret))].map((id) => [id, secretOf(id)]));
  }

  /** The erasure that means the record, or null. `number`: the record's own, as the erasures are placed. A record that names no scope may be of each of them. */
  find({ scope, users }: RecordUsers, number: number): UserErasure | null {
    for (const one of scope === null ? this.#scopes : this.#scopes.has(scope) ? [scope] : []) {
      for (const user of users) {
        for (const [id, secret] of this.#secrets) {
          const placed = this.#erasures.get(`${id} ${one} ${this.#key(id, secret, { scope: one, user })}`);
          if (placed !== undefined && number <= placed[0]) return placed[1];
        }
      }
    }
    return null;
  }

  #key(id: string, secret: Uint8Array, of: { readonly scope: string; readonly user: string }): string {
    if (of.user.length > CACHED_CHARACTERS_MAX) return userKey(secret, of);
    const name = `${id} ${of.scope}\n${of.user}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = userKey(secret, of);
    this.#keys.set(name, key);
    return key;
  }
}
