/** Settings of the Redis sink: schema, defaults, units; and its addresses, read from the URL. */

import { flag, wholeNumber, z } from '../../engine/core/schema.ts';

const DEFAULT_PORT = 6_379;

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** What `url` says. */
export interface RedisTarget {
  readonly addresses: readonly RedisAddress[];
  readonly tls: boolean;
  readonly username: string;
  readonly password: string;
  readonly database: number;
}

export const redisOptionsSchema = z
  .strictObject({
    /** `redis://` or `rediss://` (TLS), `user:password@`, `host:port`, further `,host:port` for a cluster, `/database`. */
    url: z.string().min(1),
    /** True for a cluster given by one address; several addresses are one in any case. */
    cluster: flag().default(false),
    /** Instead of the ones in the URL. */
    username: z.string().default(''),
    password: z.string().default(''),
    /** A file with it, instead. */
    password_file: z.string().max(4_000).default(''),
    /** PEM file with the authorities to trust instead of the system's. Read anew with each connection. */
    tls_ca_file: z.string().default(''),
    tls_reject_unauthorized: flag().default(true),
    /** Before every key, the marker's too: keeps daemons apart that share a Redis. */
    key_prefix: z.string().max(200).default(''),
    connect_timeout_ms: wholeNumber(1, 600_000).default(5_000),
    command_timeout_ms: wholeNumber(1, 600_000).default(5_000),
    /** How long a key that names its hour is kept, from the hour's end or its last change, whichever is later. */
    hour_ttl_hours: wholeNumber(1, 24 * 400).default(48),
    /** The same for both daily keys (the newest day's counts from the day's end). */
    day_ttl_hours: wholeNumber(1, 24 * 400).default(48),
    /** At least this long between two writes. */
    write_interval_ms: wholeNumber(0, 3_600_000).default(25),
  })
  .superRefine((options, context) => {
    const target = parseRedisUrl(options.url);
    if (typeof target === 'string') context.addIssue({ code: 'custom', path: ['url'], message: target });
    else if (target.database !== 0 && isCluster(options)) context.addIssue({ code: 'custom', path: ['url'], message: 'a cluster has no numbered databases: leave the /number out' });
  });

export type RedisOptions = z.infer<typeof redisOptionsSchema>;

export const isCluster = (options: Pick<RedisOptions, 'cluster' | 'url'>): boolean => options.cluster || options.url.includes(',');

/** Reads a URL; a text that says what is wrong (never with the URL in it, which may hold a password) when it cannot. */
export function parseRedisUrl(url: string): RedisTarget | string {
  const [first = '', ...others] = url.split(',');
  const scheme = /^rediss?:\/\//.exec(first)?.[0];
  if (scheme === undefined) return 'must begin with redis:// or rediss://';
  // The database may stand after the last address.
  const parsed = [first, ...others.map((part) => (/^rediss?:\/\//.test(part) ? part : `${scheme}${part}`))].map((part) => (URL.canParse(part) ? new URL(part) : null));
  const addresses: RedisAddress[] = [];
  let database = 0;
  for (const part of parsed) {
    if (part === null || part.hostname === '') return 'must be redis://host:port; several addresses are joined by commas, and special characters of a password are percent-encoded';
    if (`${part.protocol}//` !== scheme) return 'must not mix redis:// and rediss://';
    if (part.search !== '' || part.hash !== '') return 'takes no ? or # part: use the settings beside it, and percent-encode them in a password';
    const path = part.pathname.replace(/^\//, '');
    if (!/^\d{0,4}$/.test(path)) return 'may end in /number, the database, and nothing else';
    if (path !== '') database = Number(path);
    addresses.push({ host: part.hostname.replace(/^\[|\]$/g, ''), port: part.port === '' ? DEFAULT_PORT : Number(part.port) });
  }
  try {
    return { addresses, tls: scheme === 'rediss://', username: decodeURIComponent(parsed[0]?.username ?? ''), password: decodeURIComponent(parsed[0]?.password ?? ''), database };
  } catch {
    return 'has a % in user name or password that is not a percent-encoding: write it as %25';
  }
}
