/** Settings of the lake: schema, defaults, units. */

import { EngineError } from '../../engine/core/errors.ts';
import { wholeNumber, z } from '../../engine/core/schema.ts';
import { directoryOf } from './file-target.ts';
import { parseS3Address } from './s3-address.ts';

const GIB = 1024 ** 3;

export const lakeOptionsSchema = z.strictObject({
  url: z
    .string()
    .default('')
    .superRefine((url, context) => {
      const problem = url === '' ? null : problemOf(url);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    })
    .describe('where the lake lives: file:./data/lake, file:/srv/lake or s3://bucket/prefix?region=…&endpoint=…&path_style=true&checksums=when_required; empty: `lake` in the data directory'),
  hourly_interval_seconds: wholeNumber(1, 86_400).default(60).describe('at least this long between two rewrites of the objects of hourly/'),
  hourly_cells_max: wholeNumber(1_000, 10_000_000).default(1_000_000).describe('an hour with more cells is refused, not cut'),
  costs_interval_seconds: wholeNumber(1, 86_400).default(10).describe('at least this long between two rewrites of the objects of costs/'),
  rows_per_file: wholeNumber(1_000, 2_000_000).default(250_000).describe('rows after which a file of events/ ends; a new value counts from the next slot'),
  spool_bytes_max: wholeNumber(64 * 1024 ** 2).default(10 * GIB).describe('files that wait for upload; beyond it slots stay in the journal'),
  s3_access_key_id: z.string().default('').describe('instead of AWS_ACCESS_KEY_ID, profile or role'),
  s3_secret_access_key: z.string().default('').describe('goes with s3_access_key_id'),
  s3_secret_access_key_file: z.string().max(4_000).default('').describe('a file with it, instead'),
  s3_request_timeout_seconds: wholeNumber(1, 600).default(30).describe('for one request with body and answer'),
});

export type LakeOptions = z.output<typeof lakeOptionsSchema>;

/** What is wrong with a lake's address, with what to write instead; null for nothing. */
function problemOf(url: string): string | null {
  try {
    if (url.startsWith('s3:')) parseS3Address(url);
    else directoryOf(url);
    return null;
  } catch (error) {
    if (error instanceof EngineError) return `${error.message}: ${error.fix ?? ''}`;
    throw error;
  }
}
