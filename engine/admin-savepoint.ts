/** The answer to a request for a savepoint that wants to see it grow: a line of JSON each second while it is copied, the last one with its end. */

import type { AdminReply, ToldError } from './runtime/admin-server.ts';
import { workReply } from './runtime/work-reply.ts';

/** Bytes copied so far; then the savepoint, or why there is none. */
export type SavepointLine = { readonly copied: number } | { readonly directory: string; readonly bytes: number } | { readonly error: ToldError };

/** `taken` resolves with the bytes of the whole. It goes on when the client leaves. */
export function savepointReply(directory: string, taken: Promise<number>, copied: () => Promise<number>): AdminReply {
  let isFirst = true;
  const soFar = async (): Promise<SavepointLine> => {
    if (!isFirst) return { copied: await copied() };
    isFirst = false;
    return { copied: 0 };
  };
  return workReply(taken.then((bytes): SavepointLine => ({ directory, bytes })), soFar);
}
