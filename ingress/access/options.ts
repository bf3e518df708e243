/** Settings of who may send: schema, defaults, units. All of it is off unless set. */

import { wholeNumber, z } from '../../engine/core/schema.ts';

const SECONDS_PER_WEEK = 604_800;
const ranges = () => z.array(z.string().min(1).max(100)).max(1_000).default([]);
const file = () => z.string().max(4_000).default('');

export const accessSchema = z.strictObject({
  auth: z.strictObject({
    tokens: z.array(z.string().min(1).max(2_100)).max(1_000).default([]).describe('who sends one of these may send: the token, or `name=token`; as it is, or after `Bearer`'),
    tokens_file: file().describe('the same, one a line; read again when it changes'),
    header: z.string().regex(/^(authorization|x-[a-z0-9-]{1,28})$/i, 'must be Authorization or a name that begins with X-, of at most 30 characters').default('Authorization').describe('where the token stands'),
    grace_seconds: wholeNumber(0, SECONDS_PER_WEEK).default(3_600).describe('a token that has left the file counts for so long'),
  }).prefault({}),
  allow_from: ranges().describe('addresses that may send: `192.0.2.0/24`, `2001:db8::/32`, or `appsflyer` (its Push API), `loopback`, `private`; empty: all'),
  trusted_proxies: ranges().describe('the same for proxies whose X-Forwarded-For is believed'),
  limits: z.strictObject({
    per_credential_per_second: wholeNumber(0, 10_000_000).default(0).describe('of one token (without tokens: of all senders together); 0: none'),
    per_app_per_second: wholeNumber(0, 10_000_000).default(0).describe('of one app_id; 0: none'),
    burst_seconds: wholeNumber(1, 3_600).default(5).describe('so many seconds\' worth may come at once'),
  }).prefault({}),
});

export type AccessOptions = Readonly<z.output<typeof accessSchema>>;
