/**
 * How many connections the process has descriptors for. A descriptor that is not there when a segment or store must be opened stops more
 * than one client, so connections leave some: what they may not have, further clients are answered 503 for.
 */

import { readFileSync } from 'node:fs';

/** Derived: two per LMDB file of 32 partitions and the live store, segments of each reader, sinks, the admin port's clients; rounded up. */
const FILES_RESERVED = 512;
const CONNECTIONS_MIN = 64;

/** The most files this process may have open; Infinity where the system does not say. Node has raised it to the hard limit. */
export function openFilesMax(): number {
  try {
    return parseLimit(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return Infinity;
  }
}

/** Reads what Linux writes in /proc/<pid>/limits. */
export function parseLimit(limits: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}

export const connectionsMax = (wanted: number, filesMax: number): number => Math.min(wanted, Math.max(CONNECTIONS_MIN, filesMax - FILES_RESERVED));
