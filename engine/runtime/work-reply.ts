/** The answer to a request that wants to see its work go on: a line of JSON each second, the last one with its end. */

import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { toldOf, type AdminReply, type ToldError } from './admin-server.ts';

const INTERVAL_MS = 1_000;

/** `soFar` tells how far it has come; what it cannot tell is told as before. A work that fails ends in `{"error":…}`. */
export function workReply(work: Promise<object>, soFar: () => Promise<object>): AdminReply {
  const end = work.catch((error: unknown): { readonly error: ToldError } => ({ error: toldOf(error) }));
  return { contentType: 'application/x-ndjson', body: Readable.from(lines(end, soFar)) };
}

async function* lines(end: Promise<object>, soFar: () => Promise<object>): AsyncGenerator<string> {
  // The first line at once: the client then knows that the daemon works.
  let told = await soFar().catch(() => ({}));
  for (;;) {
    yield textOf(told);
    const last = await Promise.race([end, pause(INTERVAL_MS, null)]);
    if (last !== null) {
      yield textOf(last);
      return;
    }
    told = await soFar().catch(() => told);
  }
}

const textOf = (line: object): string => `${JSON.stringify(line)}\n`;
