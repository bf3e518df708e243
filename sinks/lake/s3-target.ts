/**
 * The lake in a bucket, AWS's or any server that speaks S3: the only door to @aws-sdk/client-s3.
 *
 * One attempt per call (the SDK's own retries are off), bounded in time as a whole by an abort signal. Bodies are buffers with their length
 * and CRC32, so that a cut body is never stored. Every object is written under If-None-Match, or If-Match of what was read, so that a write which lands late puts
 * nothing back; versioned ones carry (generation, revision) as metadata. A server without conditions is told from its 501 and then written to plainly.
 */

import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { parseS3Address, type S3Address } from './s3-address.ts';
import { isAsExpected, isOlder, parseVersion, refused, unavailable, type ObjectVersion, type ReadObject, type ReplaceCondition, type RewritableTarget } from './target.ts';

export interface S3TargetOptions {
  readonly url: string;
  /** Null: the SDK's chain (environment, profile, role of the machine). */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** For one request with its body and answer. Milliseconds. */
  readonly requestTimeoutMs: number;
  readonly warn: (message: string, details: Record<string, string | number>) => void;
  /** By default the SDK's client and the system's timers; a simulator passes its own. */
  readonly client?: Pick<S3Client, 'send' | 'destroy'>;
  readonly abortAfter?: (delayMs: number) => AbortSignal;
}

const CONNECT_TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 8;
/** Races for one object are lost at most this often before the caller's backoff takes over. */
const CONDITION_ATTEMPTS_MAX = 3;
const GENERATION_KEY = 'millrace-generation';
const REVISION_KEY = 'millrace-revision';
const FIX_OF_STATUS: Readonly<Record<number, string>> = {
  301: 'set region in lake.url to the region of the bucket',
  400: 'look at what the server says',
  401: 'check the credentials',
  403: 'give the credentials s3:PutObject, s3:GetObject and s3:ListBucket on the bucket, and check the clock of this machine',
  404: 'create the bucket or correct lake.url',
  405: 'check the endpoint in lake.url',
  411: 'check the endpoint in lake.url',
  413: 'lower lake.rows_per_file',
};

const FIX_OF_TIMEOUT = 'raise lake.s3_request_timeout_seconds if one file takes longer than that over this link';

interface Stored {
  readonly etag: string;
  /** Null when somebody else wrote the object. */
  readonly version: ObjectVersion | null;
}

export class S3Target implements RewritableTarget {
  readonly url: string;
  readonly #address: S3Address;
  readonly #client: Pick<S3Client, 'send' | 'destroy'>;
  readonly #options: S3TargetOptions;
  #conditional = true;

  constructor(options: S3TargetOptions) {
    this.#options = options;
    this.url = options.url;
    this.#address = parseS3Address(options.url);
    this.#client = options.client ?? new S3Client(clientConfig(this.#address, options));
  }

  /** Taken for new at first, as most are: that costs one request. */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    let stored: Stored | null = null;
    for (let attempt = 1; (await this.#putIfUnchanged(name, bytes, null, stored)) === 'changed'; attempt++) {
      if (attempt === CONDITION_ATTEMPTS_MAX) throw this.#contended(name, attempt);
      stored = await this.#head(name);
    }
  }

  async putVersioned(name: string, bytes: Uint8Array, version: ObjectVersion): Promise<'written' | 'refused'> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#head(name);
      if (stored?.version && isOlder(version, stored.version)) return 'refused';
      const outcome = await this.#putIfUnchanged(name, bytes, version, stored);
      if (outcome === 'written') return outcome;
      if (attempt === CONDITION_ATTEMPTS_MAX) throw this.#contended(name, attempt);
    }
  }

  async version(name: string): Promise<ObjectVersion | null> {
    return (await this.#head(name))?.version ?? null;
  }

  async replace(name: string, bytes: Uint8Array, { expected, bytesMax }: ReplaceCondition): Promise<boolean> {
    const there = await this.read(name, bytesMax);
    if (!isAsExpected(there?.bytes ?? null, expected)) return false;
    return (await this.#putIfUnchanged(name, bytes, null, there)) === 'written';
  }

  async get(name: string, bytesMax: number): Promise<Uint8Array | null> {
    return (await this.read(name, bytesMax))?.bytes ?? null;
  }

  async read(name: string, bytesMax: number): Promise<ReadObject | null> {
    return this.#attempt(name, async (abortSignal) => {
      try {
        const answer = await this.#client.send(new GetObjectCommand(this.#at(name)), { abortSignal });
        const size = answer.ContentLength ?? 0;
        if (size > bytesMax) {
          (answer.Body as { destroy?: () => void } | undefined)?.destroy?.();
          throw refused(`${name} has ${size} bytes, more than ${bytesMax}`, this.#where(name), undefined, 'look at what wrote it');
        }
        return { bytes: answer.Body === undefined ? new Uint8Array(0) : await answer.Body.transformToByteArray(), etag: answer.ETag ?? '*', versionId: keptVersion(answer.VersionId) };
      } catch (error) {
        if (nameOf(error) === 'NoSuchKey') return null;
        throw error;
      }
    });
  }

  async replaceRead(name: string, bytes: Uint8Array, etag: string): Promise<boolean> {
    return (await this.#putIfUnchanged(name, bytes, null, { etag })) === 'written';
  }

  async listAfter(folder: string, after: string | null, limit: number): Promise<string[]> {
    const { bucket, prefix: root } = this.#address;
    return this.#attempt(folder, async (abortSignal) => {
      const answer = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: root + folder, MaxKeys: limit, ...(after !== null && { StartAfter: root + after }) }), { abortSignal });
      return (answer.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(root.length)]));
    });
  }

  async list(prefix: string, limit: number): Promise<string[]> {
    const { bucket, prefix: root } = this.#address;
    return this.#attempt(prefix, async (abortSignal) => {
      const answer = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: root + prefix, MaxKeys: limit }), { abortSignal });
      return (answer.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(root.length)]));
    });
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #head(name: string): Promise<Stored | null> {
    return this.#attempt(name, async (abortSignal) => {
      try {
        const { ETag, Metadata } = await this.#client.send(new HeadObjectCommand(this.#at(name)), { abortSignal });
        return { etag: ETag ?? '*', version: parseVersion(Metadata?.[GENERATION_KEY], Metadata?.[REVISION_KEY]) };
      } catch (error) {
        if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return null;
        throw error;
      }
    });
  }

  /** 'changed': what was read is not what is there now. */
  async #putIfUnchanged(name: string, bytes: Uint8Array, version: ObjectVersion | null, stored: Pick<Stored, 'etag'> | null): Promise<'written' | 'changed'> {
    const condition = !this.#conditional ? {} : stored === null ? { IfNoneMatch: '*' } : { IfMatch: stored.etag };
    const versioned = version === null ? {} : { Metadata: { [GENERATION_KEY]: String(version.generation), [REVISION_KEY]: String(version.revision) } };
    const command = new PutObjectCommand({ ...this.#at(name), ...condition, ...versioned, Body: bytes, ContentLength: bytes.byteLength });
    return this.#attempt(name, async (abortSignal) => {
      try {
        await this.#client.send(command, { abortSignal });
        return 'written';
      } catch (error) {
        const status = statusOf(error);
        // 412: something is there that was not read; 404: what was read is gone; 409: another conditional write is under way.
        if (status === 412 || (status === 409 && nameOf(error) === 'ConditionalRequestConflict')) return 'changed';
        if (status === 404 && stored !== null && nameOf(error) !== 'NoSuchBucket') return 'changed';
        if (status === 501 && this.#conditional) {
          this.#conditional = false;
          this.#options.warn('the server of the lake knows no conditional writes: a write that lands late can put back an hour until its next change, or rows that were erased meanwhile', { url: this.url });
          return 'changed';
        }
        throw error;
      }
    });
  }

  async #attempt<Result>(name: string, action: (abortSignal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { requestTimeoutMs, abortAfter = (delayMs: number) => AbortSignal.timeout(delayMs) } = this.#options;
    const signal = abortAfter(requestTimeoutMs);
    try {
      return await action(signal);
    } catch (error) {
      if (error instanceof EngineError) throw error;
      const where = this.#where(name);
      if (signal.aborted) throw unavailable(`no answer within ${requestTimeoutMs} ms`, where, error, FIX_OF_TIMEOUT);
      const status = statusOf(error);
      const fix = FIX_OF_STATUS[status];
      const text = `${nameOf(error)}: ${messageOf(error)}${status === 0 ? '' : ` (HTTP ${status})`}`;
      if (nameOf(error) === 'CredentialsProviderError') throw refused(text, where, error, 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role');
      throw fix === undefined ? unavailable(text, where, error) : refused(text, where, error, fix);
    }
  }

  #contended(name: string, attempts: number): EngineError {
    return unavailable(`${name} was changed by another writer ${attempts} times in a row`, this.#where(name), undefined);
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#address.bucket, Key: this.#address.prefix + name };
  }

  #where(name: string): Record<string, string> {
    return { sink: 'lake', bucket: this.#address.bucket, key: this.#address.prefix + name };
  }
}

function clientConfig(address: S3Address, options: S3TargetOptions): S3ClientConfig {
  const checksums = address.checksums === 'when_required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return {
    ...(address.region === null ? {} : { region: address.region }),
    // A server of one's own has no regions, but a signature has to name one.
    ...(address.endpoint === null ? {} : { endpoint: address.endpoint, region: address.region ?? 'us-east-1' }),
    ...(options.credentials === null ? {} : { credentials: options.credentials }),
    forcePathStyle: address.pathStyle,
    maxAttempts: 1,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: options.requestTimeoutMs,
      httpAgent: { maxSockets: CONNECTIONS_MAX },
      httpsAgent: { maxSockets: CONNECTIONS_MAX },
    },
  };
}

/** Buckets without versions have none, or one that is called null. */
const keptVersion = (id: string | undefined): string | null => (id === undefined || id === 'null' ? null : id);
const statusOf = (thrown: unknown): number => (thrown as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode ?? 0;
const nameOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : 'unknown');
