/**
 * One call: the report's bytes into a file, or what was said instead of them. The only door of the poller to the network.
 *
 * AppsFlyer answers a call by sending it on (302) to a signed address of another host. That host never sees the token: it goes to the origin that
 * was asked first, alone, and never from https to http. Time and bytes are bounded; a body that ends before its time is a fault, not a short report.
 */

import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { request as plainRequest, type IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../../engine/core/errors.ts';
import { ANSWER_TEXT_BYTES_MAX } from './answers.ts';

export interface DownloadOptions {
  readonly url: string;
  readonly token: string;
  /** Written anew; durable once the call has resolved with `isReport`. */
  readonly file: string;
  readonly bytesMax: number;
  /** Asked now and then: false ends the download. */
  readonly hasRoom: () => boolean;
  /** From the call to the head of the answer. */
  readonly answerTimeoutMs: number;
  /** Between two pieces of the body. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Download {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Beginning of the body where it is not the report. */
  readonly text: string;
  /** Of the report, as it stands in the file. */
  readonly bytes: number;
}

/** The call has not come to an answer. A bug is never one of these. */
export class DownloadFault extends Error {
  override readonly name = 'DownloadFault';
}

const HOPS_MAX = 5;
const ROOM_INTERVAL_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Rejects with DownloadFault. */
export async function download(options: DownloadOptions): Promise<Download> {
  let url = parse(options.url, null);
  const { origin } = url;
  for (let hop = 0; hop <= HOPS_MAX; hop++) {
    const answer = await ask(url, url.origin === origin ? options.token : null, options);
    const status = answer.statusCode ?? 0;
    const location = answer.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      answer.destroy();
      url = parse(location, url);
      continue;
    }
    const retryAfter = answer.headers['retry-after'];
    if (status !== 200) return { status, retryAfter, text: await beginning(answer), bytes: 0 };
    return { status, retryAfter, text: '', bytes: await store(answer, options) };
  }
  throw new DownloadFault(`was sent on more than ${HOPS_MAX} times`);
}

function parse(location: string, from: URL | null): URL {
  const url = URL.canParse(location, from?.href) ? new URL(location, from?.href) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw new DownloadFault('was sent on to what is no address');
  if (from?.protocol === 'https:' && url.protocol !== 'https:') throw new DownloadFault('was sent on from https to http, where anybody can read');
  return url;
}

function ask(url: URL, token: string | null, { answerTimeoutMs, idleTimeoutMs, signal }: DownloadOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/csv', 'accept-encoding': 'gzip', 'user-agent': 'millrace', ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    const call = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, { headers, signal, agent: false });
    const timer = setTimeout(() => {
      call.destroy(new DownloadFault(`no answer within ${answerTimeoutMs} ms`));
    }, answerTimeoutMs);
    call.once('response', (answer) => {
      clearTimeout(timer);
      answer.setTimeout(idleTimeoutMs, () => {
        answer.destroy(new DownloadFault(`the answer stood still for ${idleTimeoutMs} ms`));
      });
      resolve(answer);
    });
    // For good: what goes wrong after the head of the answer is told here as well.
    call.on('error', (error) => {
      clearTimeout(timer);
      // The address may be a signed one: the error's own words name host and port at most.
      reject(error instanceof DownloadFault ? error : new DownloadFault(messageOf(error), { cause: error }));
    });
    call.end();
  });
}

const isZipped = (answer: IncomingMessage): boolean => answer.headers['content-encoding'] === 'gzip';

const endsUnseen = ({ headers }: IncomingMessage): boolean => headers['content-length'] === undefined && headers['transfer-encoding'] === undefined && headers['content-encoding'] !== 'gzip';

async function beginning(answer: IncomingMessage): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of (isZipped(answer) ? answer.pipe(createGunzip()) : answer) as Readable) {
      pieces.push(piece as Uint8Array);
      bytes += (piece as Uint8Array).byteLength;
      if (bytes >= ANSWER_TEXT_BYTES_MAX) break;
    }
  } catch {
    // What has come so far has to do: the status is what decides most.
  }
  answer.destroy();
  return Buffer.concat(pieces).subarray(0, ANSWER_TEXT_BYTES_MAX).toString('utf8');
}

async function store(answer: IncomingMessage, { file, bytesMax, hasRoom }: DownloadOptions): Promise<number> {
  let bytes = 0;
  let lookAt = ROOM_INTERVAL_BYTES;
  let last = NEWLINE;
  const bounded = new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      bytes += piece.byteLength;
      last = piece.at(-1) ?? last;
      if (bytes > bytesMax) done(new DownloadFault(`the report has more than ${bytesMax} bytes (pull.answer_bytes_max)`));
      else if (bytes > lookAt && !hasRoom()) done(new DownloadFault('the disk is too full to fetch the rest of the report (disk.reserve_bytes)'));
      else {
        if (bytes > lookAt) lookAt = bytes + ROOM_INTERVAL_BYTES;
        done(null, piece);
      }
    },
  });
  try {
    const target = createWriteStream(file);
    if (isZipped(answer)) await pipeline(answer, createGunzip(), bounded, target);
    else await pipeline(answer, bounded, target);
    // A body that ends with its connection alone does not tell that it was cut.
    if (endsUnseen(answer) && last !== NEWLINE) throw new DownloadFault('the answer ended in the middle of a row');
    const handle = await open(file, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    throw error instanceof DownloadFault ? error : new DownloadFault(`the answer was cut after ${bytes} bytes (${messageOf(error)})`, { cause: error });
  }
  return bytes;
}
