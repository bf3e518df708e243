/** Real S3 servers for tests: MinIO and moto_server on free ports, and a proxy that injects the faults they cannot. */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { freePort } from '../support/ports.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

const CACHE = join(homedir(), '.cache', 'millrace-peers');
const MINIO = join(CACHE, 'bin', 'minio');
const MOTO = join(CACHE, 'moto', 'bin', 'moto_server');
const MINIO_VERSION = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';
const MOTO_VERSION = 'moto[server]==5.2.5';
const inCi = process.env['CI'] === 'true';
export const S3_KEYS = { accessKeyId: 'millrace-test', secretAccessKey: 'millrace-test-secret' };

const runs = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** The command of a peer, or null. In CI what is missing is installed once into the cache (MinIO: 3 minutes, 150 MB). */
function minioCommand(): string | null {
  if (existsSync(MINIO)) return MINIO;
  if (runs('minio', '--version')) return 'minio';
  if (inCi) spawnSync('go', ['install', MINIO_VERSION], { stdio: 'ignore', env: { ...process.env, GOBIN: join(CACHE, 'bin') } });
  return existsSync(MINIO) ? MINIO : null;
}

function motoCommand(): string | null {
  if (existsSync(MOTO)) return MOTO;
  if (runs('moto_server', '--help')) return 'moto_server';
  if (inCi) {
    mkdirSync(CACHE, { recursive: true });
    if (runs('python3', '-m', 'venv', join(CACHE, 'moto'))) spawnSync(join(CACHE, 'moto', 'bin', 'pip'), ['install', '-q', MOTO_VERSION], { stdio: 'ignore' });
  }
  return existsSync(MOTO) ? MOTO : null;
}

const commands = { minio: minioCommand(), moto: motoCommand() };
const howToGet = { minio: `GOBIN=~/.cache/millrace-peers/bin go install ${MINIO_VERSION}`, moto: `pip install '${MOTO_VERSION}'` };
export type S3Peer = keyof typeof commands;
export const hasS3 = (peer: S3Peer): boolean => commands[peer] !== null;

/** A group of tests that need a server: skipped by name where it is missing, failing there in CI. */
export function describeWithS3(peer: S3Peer, name: string, body: () => void): void {
  if (commands[peer] !== null) describe(name, body);
  else if (inCi) {
    describe(name, () => {
      test(`${peer} is installed`, () => {
        throw new Error(`${peer} is missing: ${howToGet[peer]}`);
      });
    });
  } else describe.skip(`${name} (skipped: ${peer} is missing, ${howToGet[peer]})`, body);
}

/** A restart is on the same port; MinIO holds what it held. */
export interface S3Server extends ServerProcess {
  readonly endpoint: string;
}

export async function startS3(peer: S3Peer): Promise<S3Server> {
  const command = commands[peer];
  if (command === null) throw new Error(`${peer} is missing: ${howToGet[peer]}`);
  const directory = mkdtempSync(join(tmpdir(), `millrace-${peer}-`));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const args = peer === 'minio' ? ['server', '--quiet', '--address', `127.0.0.1:${port}`, directory] : ['-H', '127.0.0.1', '-p', String(port)];
  const env = { ...process.env, MINIO_BROWSER: 'off', MINIO_ROOT_USER: S3_KEYS.accessKeyId, MINIO_ROOT_PASSWORD: S3_KEYS.secretAccessKey };
  const server = await startServerProcess({
    spawn: () => spawn(command, args, { stdio: 'ignore', env }),
    ready: () => answers(peer === 'minio' ? `${endpoint}/minio/health/ready` : `${endpoint}/moto-api/data.json`),
    directory,
  });
  return { endpoint, ...server };
}

/** What happens to a request; the server sees nothing of those that are answered or reset. */
export type Fault =
  | { readonly type: 'pass' }
  /** The server does not see it. */
  | { readonly type: 'answer'; readonly status: number; readonly code: string }
  /** The connection is reset without an answer. */
  | { readonly type: 'reset' }
  /** Half of the body reaches the server, then both connections are reset. */
  | { readonly type: 'cut' }
  /** The server does the work, and the answer is lost. */
  | { readonly type: 'lose_answer' }
  /** Passed on only when this resolves; the client may have given up by then. */
  | { readonly type: 'hold'; readonly until: Promise<void> };

export interface FaultProxy {
  readonly endpoint: string;
  /** Decides for each request; passes all by default. */
  decide: (method: string, path: string) => Fault;
  /** Method and path of each request, in order. */
  readonly seen: string[];
  /** Resolves once every request that has come is dealt with: the server has answered, or will never see it. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

const PASS: Fault = { type: 'pass' };

/** Forwards to `target`, with the headers as they are: the signature covers the proxy's own host. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const upstream = new URL(target);
  const seen: string[] = [];
  const handling = new Set<Promise<void>>();
  const server = createServer((incoming, answer) => {
    const path = incoming.url ?? '/';
    seen.push(`${incoming.method} ${path}`);
    // What fails here is a client that went away in the middle of its request.
    const work = handle(incoming, answer, proxy.decide(incoming.method ?? '', path), upstream).catch(() => undefined);
    handling.add(work);
    void work.then(() => handling.delete(work));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const proxy: FaultProxy = { endpoint: `http://127.0.0.1:${port}`, decide: () => PASS, seen, quiet: async () => void (await Promise.all(handling)), stop: () => closeServer(server) };
  return proxy;
}

async function handle(incoming: IncomingMessage, answer: ServerResponse, fault: Fault, upstream: URL): Promise<void> {
  if (fault.type === 'reset') return void incoming.socket.destroy();
  if (fault.type === 'answer') {
    incoming.resume();
    answer.writeHead(fault.status, { 'content-type': 'application/xml' });
    return void answer.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>injected</Message></Error>`);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (fault.type === 'hold') await fault.until;
  const onward = request({ host: upstream.hostname, port: upstream.port, method: incoming.method, path: incoming.url, headers: incoming.headers, agent: false }, (reply) => {
    if (fault.type === 'lose_answer') {
      reply.resume().on('end', () => incoming.socket.destroy());
      return;
    }
    // A client that is gone drains nothing.
    if (answer.destroyed) return void reply.resume();
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(answer);
    answer.once('close', () => reply.resume());
  });
  const ended = new Promise<void>((resolve) => onward.once('close', resolve));
  onward.on('error', () => incoming.socket.destroy());
  if (fault.type === 'cut') {
    onward.write(body.subarray(0, body.byteLength >>> 1));
    await sleep(50);
    onward.destroy();
    incoming.socket.destroy();
  } else onward.end(body);
  await ended;
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function answers(url: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok === true) return;
    if (performance.now() > endMs) throw new Error(`${url} does not answer`);
    await sleep(50);
  }
}
