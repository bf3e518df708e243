/** The answer to a request for a savepoint that wants to see it grow: a line of JSON each second while it is copied, the last one with its end. */

import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { toldOf, type AdminReply, type ToldError } from './runtime/admin-server.ts';

/** Bytes copied so far; then the savepoint, or why there is none. */
export type SavepointLine = { readonly copied: number } | { readonly directory: string; readonly bytes: number } | { readonly error: ToldError };

const INTERVAL_MS = 1_000;

/** `taken` resolves with the bytes of the whole. It goes on when the client leaves. */
export function savepointReply(directory: string, taken: Promise<number>, copied: () => Promise<number>): AdminReply {
  const end = taken.then(
    (bytes): SavepointLine => ({ directory, bytes }),
    (error: unknown): SavepointLine => ({ error: toldOf(error) }),
  );
  return { contentType: 'application/x-ndjson', body: Readable.from(lines(end, copied)) };
}

async function* lines(end: Promise<SavepointLine>, copied: () => Promise<number>): AsyncGenerator<string> {
  let bytes = 0;
  let last: SavepointLine | null = null;
  // The first line at once: the client then knows that the daemon works.
  while (last === null) {
    yield textOf({ copied: bytes });
    last = await Promise.race([end, pause(INTERVAL_MS, null)]);
    if (last === null) bytes = await copied().catch(() => bytes);
  }
  yield textOf(last);
}

const textOf = (line: SavepointLine): string => `${JSON.stringify(line)}\n`;
