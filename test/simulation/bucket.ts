/**
 * A bucket at the end of a bad line, as the SDK's client for S3 sees it: it may be away, answer 500 or 503, apply a request and fail to say so,
 * or take so long that the caller has given up when the request lands. What a dead daemon has sent may still land.
 */

import type { S3Client } from '@aws-sdk/client-s3';
import type { World } from './world.ts';

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Request {
  readonly constructor: { readonly name: string };
  readonly input: {
    readonly Key?: string;
    readonly Prefix?: string;
    readonly StartAfter?: string;
    readonly MaxKeys?: number;
    readonly Body?: Uint8Array;
    readonly IfMatch?: string;
    readonly IfNoneMatch?: string;
    readonly Metadata?: Readonly<Record<string, string>>;
  };
}

const LATENCY_MS_MAX = 8;

const s3Error = (name: string, status: number): Error => Object.assign(new Error(`${name}: injected`), { name, $metadata: { httpStatusCode: status } });

export class SimulatedBucket {
  away = false;
  /** Answers this status before it looks at anything; 0 for none. */
  status = 0;
  /** Applies what it is given and fails to say so. */
  mute = false;
  /** What is sent takes so long to land; 0 for none. */
  hangMs = 0;
  /** Requests that have not landed. */
  inFlight = 0;
  readonly #world: World;
  readonly #objects = new Map<string, Stored>();
  #copy = new Map<string, Stored>();
  #copiesPutBack = 0;
  #writes = 0;

  constructor(world: World) {
    this.#world = world;
  }

  recover(): void {
    this.away = false;
    this.status = 0;
    this.mute = false;
    this.hangMs = 0;
  }

  get objects(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#objects].map(([name, { bytes }]) => [name, bytes]));
  }

  /** For {@link restore}. */
  copy(): void {
    this.#copy = new Map(this.#objects);
  }

  /** Of what `kept` names nothing changes. */
  forget(kept: (name: string) => boolean): void {
    for (const name of [...this.#objects.keys()]) if (!kept(name)) this.#objects.delete(name);
  }

  /** What was sent before lands nowhere: a marker that came after could hide what the copy lacks, and README of sinks/lake says how to avoid that. */
  restore(kept: (name: string) => boolean): void {
    this.#copiesPutBack++;
    this.forget(kept);
    for (const [name, stored] of this.#copy) if (!kept(name)) this.#objects.set(name, stored);
  }

  client(isAlive: () => boolean): Pick<S3Client, 'send' | 'destroy'> {
    const send = (command: Request, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown> => {
      this.#world.step();
      if (!isAlive()) return Promise.reject(new Error('the process is gone'));
      return this.#send(command, options?.abortSignal);
    };
    return { send: send as unknown as S3Client['send'], destroy: () => undefined };
  }

  #send(command: Request, signal: AbortSignal | undefined): Promise<unknown> {
    const { away, status, mute, hangMs } = this;
    const copiesPutBack = this.#copiesPutBack;
    this.inFlight++;
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => {
        reject(Object.assign(new Error('aborted'), { name: 'AbortError' }));
      });
      void this.#world.schedule(this.#world.pick(0, LATENCY_MS_MAX) + (hangMs === 0 ? 0 : this.#world.pick(1, hangMs)), () => {
        this.inFlight--;
        try {
          if (away || copiesPutBack !== this.#copiesPutBack) throw Object.assign(new Error('ECONNREFUSED'), { name: 'Error' });
          if (status > 0) throw s3Error(status === 503 ? 'SlowDown' : 'InternalError', status);
          const answer = this.#apply(command);
          if (mute) throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
          resolve(answer);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #apply({ constructor, input }: Request): unknown {
    const name = input.Key ?? '';
    const stored = this.#objects.get(name);
    switch (constructor.name) {
      case 'PutObjectCommand':
        if (input.IfNoneMatch === '*' && stored !== undefined) throw s3Error('PreconditionFailed', 412);
        if (input.IfMatch !== undefined && stored === undefined) throw s3Error('NoSuchKey', 404);
        if (input.IfMatch !== undefined && stored?.etag !== input.IfMatch) throw s3Error('PreconditionFailed', 412);
        this.#objects.set(name, { bytes: Buffer.from(input.Body ?? []), etag: `"${++this.#writes}"`, metadata: input.Metadata ?? {} });
        return {};
      case 'HeadObjectCommand':
        if (stored === undefined) throw s3Error('NotFound', 404);
        return { ETag: stored.etag, Metadata: stored.metadata };
      case 'GetObjectCommand':
        if (stored === undefined) throw s3Error('NoSuchKey', 404);
        return { ETag: stored.etag, ContentLength: stored.bytes.byteLength, Body: { transformToByteArray: () => Promise.resolve(stored.bytes) } };
      case 'ListObjectsV2Command':
        return { Contents: [...this.#objects.keys()].sort().filter((key) => key.startsWith(input.Prefix ?? '') && key > (input.StartAfter ?? '')).slice(0, input.MaxKeys).map((Key) => ({ Key })) };
      default:
        throw new Error(`bug: no such request: ${constructor.name}`);
    }
  }
}
