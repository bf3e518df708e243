/** The keys that outsiders read, and when they expire. */

import { MS_PER_DAY, MS_PER_HOUR } from '../../engine/core/types.ts';

/** Contract: the newest hour disappears this long after its end. */
export const NEWEST_HOUR_TTL_MS = 2 * MS_PER_HOUR;

export type ValueKind = 'hour' | 'day';

export const VALUE_KINDS: Readonly<Record<ValueKind, { readonly prefix: string; readonly sizeMs: number; readonly stampLength: number }>> = {
  hour: { prefix: 'metrics:hourly:', sizeMs: MS_PER_HOUR, stampLength: '2026-11-22T01'.length },
  day: { prefix: 'metrics:daily:', sizeMs: MS_PER_DAY, stampLength: '2026-11-22'.length },
};

/** An id as a part of a key: `%`, `:` and control characters as percent-encoded UTF-8, so that parts cannot run together. */
export const keyPart = (id: string): string => id.replace(/[%:\u0000-\u001f\u007f-\u009f]/g, encodeURIComponent);

/** `metrics:hourly:<id>`: the newest window. */
export const newestKey = (prefix: string, kind: ValueKind, resultKey: string): string => `${prefix}${VALUE_KINDS[kind].prefix}${keyPart(resultKey)}`;

/** `2026-11-22T01`, `2026-11-22`. */
export const windowStamp = (kind: ValueKind, windowStartMs: number): string => new Date(windowStartMs).toISOString().slice(0, VALUE_KINDS[kind].stampLength);

/** `metrics:hourly:<id>:2026-11-22T01`, `metrics:daily:<id>:2026-11-22`. `newest`: the newest window's key. */
export const stampedKey = (newest: string, stamp: string): string => `${newest}:${stamp}`;

/** The same from its parts. */
export const windowKey = (prefix: string, kind: ValueKind, resultKey: string, windowStartMs: number): string => stampedKey(newestKey(prefix, kind, resultKey), windowStamp(kind, windowStartMs));

export const markerKey = (prefix: string, instance: string): string => `${prefix}millrace:marker:${instance}`;

/**
 * Hash tags whose slots lie one in each 32nd of a cluster's 16,384. A node that comes back empty would go unnoticed if the only
 * marker lay on another one; with these, every node of an evenly divided cluster of up to 32 holds one. A test checks their slots.
 */
export const WITNESS_TAGS = ['10', '6d', '21', '3', '1p', '1a', 'b', 's', '11', '6a', '20', '2', '1q', '1d', 'c', 'r', '12', '6b', '23', '1', '1r', '1c', 'd', 'q', '13', '6c', '22', '0', '1s', '1b', 'a', 'p'] as const;

/** Every key that holds the marker; on a cluster there are witnesses beside the one of the contract. */
export const markerKeys = (prefix: string, instance: string, isCluster: boolean): string[] => {
  const key = markerKey(prefix, instance);
  return isCluster ? [key, ...WITNESS_TAGS.map((tag) => `${key}:{${tag}}`)] : [key];
};
