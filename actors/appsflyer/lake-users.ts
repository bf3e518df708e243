/**
 * Rows of the lake that are of purged days: by app_id and the event's time. And rows that are of erased users: by user_id, and by whoever event_properties name, in clear or as a privacy policy hashed them.
 *
 * A row shows a user as hashed under the secret and the period of its day: all secrets that are configured are tried, with the rotation that is, and with
 * none. What the policy dropped names nobody and is not found. Pool thread.
 */

import { MS_PER_DAY } from '../../engine/core/types.ts';
import { KeyedHash } from './privacy/keyed-hash.ts';
import { recordUsers } from './record-users.ts';

interface ErasedBefore {
  /** Of the erasure or purge. */
  readonly id: string;
  /** Rows that were received later stay; all go where it is absent. */
  readonly upToMs?: number;
}

export interface ErasedUser extends ErasedBefore {
  readonly appId: string;
  /** In clear. */
  readonly user: string;
}

/** Whole UTC days of an app. */
export interface PurgedApp extends ErasedBefore {
  readonly appId: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Whose rows go. */
export type LakeErasure = ErasedUser | PurgedApp;

export interface LakeUsersOptions {
  readonly erased: readonly LakeErasure[];
  readonly secrets: readonly string[];
  readonly rotationDays: number;
}

interface LakeRow {
  readonly scope: string | null;
  readonly texts: readonly (string | null)[];
  readonly timeMs: number;
}

interface PurgedRow {
  readonly scope: string | null;
  /** Of the event. */
  readonly timeMs: number;
  readonly receivedAtMs: number;
}

/** Files that were received over a longer time than these periods hold are not among ours. Chosen: it bounds the work. */
const PERIODS_MAX = 400;

export class LakeUsers {
  readonly scopeColumn = 'app_id';
  readonly timeColumn = 'received_at';
  readonly textColumns: readonly string[] = ['user_id', 'event_properties'];
  readonly purges: { readonly eventTimeColumn: string; readonly find: (row: PurgedRow) => string | null } | null;
  readonly #users: readonly ErasedUser[];
  readonly #hashes: readonly { readonly hash: KeyedHash; readonly periodMs: number }[];

  constructor({ erased, secrets, rotationDays }: LakeUsersOptions) {
    this.#users = erased.filter((one) => 'user' in one);
    const purged = erased.filter((one) => 'fromMs' in one);
    const find = ({ scope, timeMs, receivedAtMs }: PurgedRow): string | null => purged.find(({ appId, fromMs, toMs, upToMs = Infinity }) => appId === scope && timeMs >= fromMs && timeMs < toMs && receivedAtMs <= upToMs)?.id ?? null;
    this.purges = purged.length === 0 ? null : { eventTimeColumn: 'timestamp', find };
    const rotations = [...new Set([rotationDays, 0])];
    this.#hashes = secrets.flatMap((secret) => rotations.map((days) => ({ hash: new KeyedHash(Buffer.from(secret), days), periodMs: days === 0 ? Infinity : days * MS_PER_DAY })));
  }

  readonly searched = (fromMs: number, toMs: number): readonly Buffer[] => {
    const texts = new Set<string>();
    for (const { user } of this.#users) {
      texts.add(user);
      // As it stands inside JSON.
      texts.add(JSON.stringify(user).slice(1, -1));
      for (const { hash, periodMs } of this.#hashes) for (const timeMs of momentsOf(periodMs, fromMs, toMs)) texts.add(hash.of(user, timeMs));
    }
    return [...texts].map((text) => Buffer.from(text));
  };

  readonly find = ({ scope, texts: [userId = null, properties = null], timeMs }: LakeRow): string | null => {
    const named = new Set<string>(userId === null ? [] : [userId]);
    if (properties !== null) {
      const json = Buffer.from(properties);
      for (const user of recordUsers(json, 0, json.byteLength).users) named.add(user);
    }
    const found = this.#users.find(({ appId, user, upToMs = Infinity }) => appId === scope && timeMs <= upToMs && (named.has(user) || this.#hashes.some(({ hash }) => named.has(hash.of(user, timeMs)))));
    return found?.id ?? null;
  };
}

/** One of each period that has a part of the time. */
function momentsOf(periodMs: number, fromMs: number, toMs: number): number[] {
  if (!Number.isFinite(fromMs) || periodMs === Infinity) return [0];
  const moments = [fromMs];
  for (let period = Math.floor(fromMs / periodMs) + 1; period * periodMs <= toMs && moments.length < PERIODS_MAX; period++) moments.push(period * periodMs);
  return moments;
}
