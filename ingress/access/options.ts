/** Settings of who may send: schema, defaults, units. All of it is off unless set. */

import { isLoopbackUrl } from '../../engine/core/loopback.ts';
import { flag, wholeNumber, z } from '../../engine/core/schema.ts';

const SECONDS_PER_WEEK = 604_800;
const ranges = () => z.array(z.string().min(1).max(100)).max(1_000).default([]);
const file = () => z.string().max(4_000).default('');

const ldapOptionsSchema = z
  .strictObject({
    url: z.string().max(1_000).default('').describe('`ldaps://ipa.example.com`: user and password come by HTTP Basic, or as its base64 after `Bearer`; empty: off'),
    start_tls: flag().default(false).describe('for `ldap://`: go over to TLS before the password is sent; without it only on loopback'),
    ca_file: file().describe('PEM file with the authorities to trust; empty: those of the system'),
    user_dn: z.string().max(1_000).default('').describe('whom to bind as: `uid={user},cn=users,cn=accounts,dc=example,dc=com`'),
    group_dn: z.string().max(1_000).default('').describe('who may send is in this group: `cn=senders,cn=groups,cn=accounts,dc=example,dc=com`'),
    timeout_ms: wholeNumber(50, 60_000).default(2_000).describe('for the whole question; then the sender gets 503'),
    cache_seconds: wholeNumber(1, 86_400).default(300).describe('a user that may send is believed for so long, and asked about again in the second half of it'),
    refused_cache_seconds: wholeNumber(0, 86_400).default(30).describe('the same for one that may not'),
    cache_max: wholeNumber(1, 1_000_000).default(10_000).describe('answers kept of each kind, by ingress thread'),
    connections_max: wholeNumber(1, 100).default(8).describe('questions at once, by ingress thread'),
  })
  .superRefine(({ url, start_tls: startTls, user_dn: userDn, group_dn: groupDn }, context) => {
    if (url === '') return;
    const parsed = /^ldaps?:\/\/[^/@?#]+\/?$/.test(url) && URL.canParse(url) ? new URL(url) : null;
    if (parsed === null) context.addIssue({ code: 'custom', path: ['url'], message: 'must be ldaps://host:port or ldap://host:port' });
    else if (parsed.protocol === 'ldap:' && !startTls && !isLoopbackUrl(parsed)) context.addIssue({ code: 'custom', path: ['url'], message: 'would carry passwords in the clear: use ldaps:// or start_tls' });
    else if (parsed.protocol === 'ldaps:' && startTls) context.addIssue({ code: 'custom', path: ['start_tls'], message: 'is for ldap://' });
    if (!userDn.includes('{user}')) context.addIssue({ code: 'custom', path: ['user_dn'], message: 'must hold {user}' });
    if (groupDn === '') context.addIssue({ code: 'custom', path: ['group_dn'], message: 'must name a group, or everybody in the directory could send' });
  });
export type LdapOptions = Readonly<z.output<typeof ldapOptionsSchema>>;

export const accessSchema = z.strictObject({
  auth: z.strictObject({
    tokens: z.array(z.string().min(1).max(2_100)).max(1_000).default([]).describe('who sends one of these may send: the token, or `name=token`; as it is, or after `Bearer`'),
    tokens_file: file().describe('the same, one a line; read again when it changes'),
    header: z.string().regex(/^(authorization|x-[a-z0-9-]{1,28})$/i, 'must be Authorization or a name that begins with X-, of at most 30 characters').default('Authorization').describe('where the token stands'),
    grace_seconds: wholeNumber(0, SECONDS_PER_WEEK).default(3_600).describe('a token that has left the file counts for so long'),
    ldap: ldapOptionsSchema.prefault({}),
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
