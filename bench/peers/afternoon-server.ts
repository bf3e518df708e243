/**
 * What one writes in an afternoon instead: node:http, JSON.parse, SET NX against repeats and HINCRBY for each hour and campaign in Redis, an answer
 * once Redis has answered. One process, no window, no late event, nothing on disk. Prints `listening`.
 *
 * node dist/bench/peers/afternoon-server.js <port> <Redis port>
 */

import { createServer } from 'node:http';
import { Redis } from 'ioredis';

interface Body {
  readonly appsflyer_id: string;
  readonly event_name: string;
  readonly event_time: string;
  readonly af_c_id: string;
  readonly event_revenue_usd?: string;
}

const [port, redisPort] = process.argv.slice(2).map(Number) as [number, number];
const redis = new Redis({ host: '127.0.0.1', port: redisPort, enableAutoPipelining: true });
const DEDUPE_SECONDS = 86_400;

async function count({ appsflyer_id, event_name, event_time, af_c_id, event_revenue_usd }: Body): Promise<void> {
  const isNew = await redis.set(`seen:${appsflyer_id}:${event_name}:${event_time}`, '1', 'EX', DEDUPE_SECONDS, 'NX');
  if (isNew === null) return;
  const key = `hour:${event_time.slice(0, 13)}:${af_c_id}`;
  await Promise.all([redis.hincrby(key, 'events', 1), redis.hincrbyfloat(key, 'revenue', Number(event_revenue_usd ?? 0))]);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    count(JSON.parse(Buffer.concat(chunks).toString()) as Body).then(
      () => response.end('{"status":"ok"}'),
      () => {
        response.statusCode = 503;
        response.end();
      },
    );
  });
});
server.listen(port, '127.0.0.1', () => {
  process.stdout.write('listening\n');
});
