/** Server-sent events for the live page: snapshots, never a queue: a client that has not read the last one is skipped. */

import { Readable } from 'node:stream';
import { liveSnapshot } from '../sinks/live/index.ts';
import type { LastRejects } from './admin-dead-letters.ts';
import type { Daemon } from './main.ts';
import type { AdminRequest } from './runtime/admin-server.ts';

const INTERVAL_MS = 1_000;
const CAMPAIGNS = 25;
const CLIENTS_MAX = 200;

let clients = 0;

/** One snapshot a second. Raises nothing once it runs; ends with the client. */
export function liveStream(view: Daemon, rejects: LastRejects, request: AdminRequest): Readable {
  const stream = new Readable({ highWaterMark: 256 * 1024, read: () => undefined });
  clients++;
  const send = (): void => {
    if (stream.readableLength > 0) return;
    snapshot(view, rejects).then(
      (value) => {
        if (!stream.destroyed) stream.push(`data: ${JSON.stringify(value)}\n\n`);
      },
      () => undefined,
    );
  };
  const timer = setInterval(send, INTERVAL_MS);
  const end = (): void => {
    clearInterval(timer);
    if (stream.destroyed) return;
    stream.destroy();
  };
  stream.once('close', () => {
    clients--;
    clearInterval(timer);
  });
  request.onClose(end);
  if (clients > CLIENTS_MAX) stream.push(null);
  else send();
  return stream;
}

async function snapshot(view: Daemon, rejects: LastRejects): Promise<object> {
  return {
    at: new Date().toISOString(),
    ...(await liveSnapshot(view.engine.live, CAMPAIGNS)),
    conservation: view.engine.live.conservation(),
    door: view.state.door?.kind ?? null,
    sinks: view.sinkHealth().map((sink) => ({ name: sink.name, healthy: sink.healthy, lag_ms: Math.round(sink.lagMs), last_error: sink.lastError })),
    rejects: await rejects.letters(),
  };
}
