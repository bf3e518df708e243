/** Parses `s3://bucket/prefix?region=…&endpoint=…&path_style=true&checksums=when_required`. */

import { EngineError } from '../../engine/core/errors.ts';

export interface S3Address {
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
  /** Null: the SDK's own sources (AWS_REGION, profile). */
  readonly region: string | null;
  /** Null: AWS. */
  readonly endpoint: string | null;
  readonly pathStyle: boolean;
  /** `when_required` for servers that do not know the SDK's default CRC32. */
  readonly checksums: 'when_supported' | 'when_required';
}

const FIX = 'write s3://bucket/prefix?region=eu-central-1 (also: endpoint, path_style, checksums)';
const PARAMETERS = new Set(['region', 'endpoint', 'path_style', 'checksums']);

/** Raises CONFIG_INVALID with what is wrong and what to write. */
export function parseS3Address(text: string): S3Address {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 's3:' || url.hostname === '') throw invalid(`${withoutSecrets(text)} names no bucket`);
  if (url.username !== '' || url.password !== '') {
    throw new EngineError('CONFIG_INVALID', 'lake.url holds credentials', { fix: 'put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role' });
  }
  for (const name of url.searchParams.keys()) if (!PARAMETERS.has(name)) throw invalid(`the parameter ${name} is unknown`);
  const endpoint = url.searchParams.get('endpoint');
  if (endpoint !== null && !/^https?:\/\/[^/@]+\/?$/.test(endpoint)) throw invalid(`endpoint=${endpoint} is no http or https address`);
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  return {
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    region: url.searchParams.get('region'),
    endpoint,
    pathStyle: oneOf(url, 'path_style', ['true', 'false']) === 'true',
    checksums: oneOf(url, 'checksums', ['when_supported', 'when_required']) as S3Address['checksums'] | null ?? 'when_supported',
  };
}

function oneOf(url: URL, name: string, values: readonly string[]): string | null {
  const value = url.searchParams.get(name);
  if (value !== null && !values.includes(value)) throw invalid(`${name}=${value} is none of ${values.join(', ')}`);
  return value;
}

const withoutSecrets = (text: string): string => text.replace(/\/\/[^/@]*@/, '//***@');
const invalid = (problem: string): EngineError => new EngineError('CONFIG_INVALID', `lake.url: ${problem}`, { fix: FIX });
