/** Real Redis servers for tests: started on free ports, killed by their own process, gone with the test. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, test } from 'vitest';
import { freePort } from '../support/ports.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** A group of tests that need redis-server: skipped by name where it is missing, failing there in CI. */
export function describeWithRedis(name: string, body: () => void): void {
  if (hasRedis) describe(name, body);
  else if (process.env['CI'] === 'true') {
    describe(name, () => {
      test('redis-server is installed', () => {
        throw new Error('redis-server is missing: apt-get install redis-server');
      });
    });
  } else describe.skip(`${name} (skipped: redis-server is missing, apt-get install redis-server)`, body);
}

export interface RedisServerOptions {
  /** Further command line arguments. */
  readonly args?: readonly string[];
  readonly password?: string;
  readonly tls?: TestAuthority;
  readonly cluster?: boolean;
}

/** A restart is empty and on the same port. */
export interface RedisServer extends ServerProcess {
  readonly port: number;
  /** `redis://…` or `rediss://…`, with the password. */
  readonly url: string;
  /** A connection of its own for looking and meddling. */
  readonly client: Redis;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-redis-'));
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
  if (options.tls === undefined) args.push('--port', String(port));
  else args.push('--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-cert-file', options.tls.certFile, '--tls-key-file', options.tls.keyFile, '--tls-ca-cert-file', options.tls.caFile);
  if (options.password !== undefined) args.push('--requirepass', options.password);
  if (options.cluster === true) args.push('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-node-timeout', '2000', '--cluster-config-file', join(directory, 'nodes.conf'));
  args.push(...(options.args ?? []));
  const credentials = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}@`;
  const client = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => 50,
    // Half a minute for the server to start.
    maxRetriesPerRequest: 600,
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: { rejectUnauthorized: false } }),
  });
  client.on('error', () => undefined);
  const server = await startServerProcess({
    spawn: () => spawn('redis-server', args, { stdio: 'ignore' }),
    ready: () => client.ping(),
    directory,
    onStop: () => {
      client.disconnect();
    },
  });
  return {
    port,
    url: `${options.tls === undefined ? 'redis' : 'rediss'}://${credentials}127.0.0.1:${port}`,
    client,
    ...server,
  };
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly url: string;
  /** Forms the cluster again after a node came back empty. */
  join(): Promise<void>;
  stop(): Promise<void>;
}

const CLUSTER_SLOTS = 16_384;

/** Three primaries, evenly divided, without replicas. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all([0, 1, 2].map(() => startRedis({ cluster: true })));
  const busPorts = await Promise.all(nodes.map(async (node) => Number((await node.client.config('GET', 'cluster-port'))[1])));
  const [first] = nodes as [RedisServer, ...RedisServer[]];
  for (const [index, node] of nodes.entries()) {
    await node.client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', String(Math.floor((index * CLUSTER_SLOTS) / 3)), String(Math.floor(((index + 1) * CLUSTER_SLOTS) / 3) - 1));
  }
  const joinAll = async (): Promise<void> => {
    for (const [index, node] of nodes.entries()) if (node !== first) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port), String(busPorts[index]));
    await eventually(async () => {
      for (const node of nodes) {
        const info = String(await node.client.call('CLUSTER', 'INFO'));
        if (!info.includes('cluster_state:ok') || !info.includes('cluster_known_nodes:3') || !info.includes('cluster_slots_ok:16384')) throw new Error(info);
      }
    }, 40_000);
  };
  await joinAll();
  return {
    nodes,
    url: nodes.map((node, index) => (index === 0 ? node.url : `127.0.0.1:${node.port}`)).join(','),
    join: joinAll,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

export interface TestAuthority {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  remove(): void;
}

/** A certificate authority of its own and a server certificate for 127.0.0.1 and localhost. */
export function makeAuthority(): TestAuthority {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  writeFileSync(file('san.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=Test CA', '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', file('server.key'), '-out', file('server.csr'));
  openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('san.cnf'), '-out', file('server.pem'));
  return { caFile: file('ca.pem'), certFile: file('server.pem'), keyFile: file('server.key'), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Repeats until it does not raise; raises the last error after the limit. */
export async function eventually(check: () => Promise<void> | void, limitMs = 30_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    try {
      return await check();
    } catch (thrown) {
      if (performance.now() > endMs) throw thrown;
      await sleep(20);
    }
  }
}
