/** A bucket on a real MinIO behind a proxy that injects faults, and a copy of its tables and receipts in a directory, for readers of files. */

import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { S3_KEYS, startFaultProxy, startS3, type FaultProxy } from '../peers/s3.ts';
import type { LakeView } from './exact-check.ts';

const BUCKET = 'lake';
const REQUEST_TIMEOUT_SECONDS = 2;

export interface S3Lake extends LakeView {
  readonly proxy: FaultProxy;
  /** Settings of a daemon that writes there, through the proxy. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** `path`: where the copy lies. */
export async function startS3Lake(path: string): Promise<S3Lake> {
  const server = await startS3('minio');
  const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', credentials: S3_KEYS, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const proxy = await startFaultProxy(server.endpoint);
  const held = new Map<string, string>();
  return {
    path,
    proxy,
    env: {
      MILLRACE_LAKE_URL: `s3://${BUCKET}?endpoint=${proxy.endpoint}&path_style=true&region=us-east-1`,
      MILLRACE_LAKE_S3_ACCESS_KEY_ID: S3_KEYS.accessKeyId,
      MILLRACE_LAKE_S3_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey,
      MILLRACE_LAKE_S3_REQUEST_TIMEOUT_SECONDS: String(REQUEST_TIMEOUT_SECONDS),
    },
    refresh: async () => {
      for (let token: string | undefined, more = true; more; ) {
        const page = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, ContinuationToken: token }));
        for (const { Key: key = '', ETag: tag = '' } of page.Contents ?? []) {
          if (!(key.endsWith('.parquet') || key.startsWith('millrace/erasures/')) || held.get(key) === tag) continue;
          const object = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
          const file = join(path, key);
          mkdirSync(dirname(file), { recursive: true });
          writeFileSync(file, (await object.Body?.transformToByteArray()) ?? new Uint8Array());
          held.set(key, object.ETag ?? '');
        }
        token = page.NextContinuationToken;
        more = token !== undefined;
      }
    },
    stop: async () => {
      await proxy.stop();
      client.destroy();
      await server.stop();
    },
  };
}
