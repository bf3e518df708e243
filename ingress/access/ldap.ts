/**
 * One question to a directory (FreeIPA, 389-ds, OpenLDAP): is this user's password right, and is the user in the group? The only door to ldapts.
 *
 * A connection each, used once: bind as the user, then look for the group with the user's own rights, first in the user's `memberOf` (FreeIPA keeps it,
 * nested groups included), then among the group's members. No account of ours, so no secret of ours. The library connects again by itself where a server
 * has hung up, which would send the password in the clear after StartTLS: a second connection is refused.
 */

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Client, ResultCodeError } from 'ldapts';
import type { LdapOptions } from './options.ts';

/** Result codes by which a server says that this user may not bind: wrong password or user, locked, expired, inactive. RFC 4511, appendix A. */
const REFUSING = new Set([19, 32, 34, 48, 49, 50, 53]);
/** On a search they mean that there is no such entry, or that the user may not see it. */
const UNSEEN = new Set([32, 50]);

export interface LdapQuestion {
  readonly options: LdapOptions;
  /** Of {@link LdapOptions.ca_file}; null for the system's authorities. */
  readonly authorities: Buffer | null;
  /** Needs no escaping in a DN or a filter: see directory.ts. */
  readonly user: string;
  /** Not empty: an empty one would bind as nobody, and succeed. */
  readonly password: string;
}

/** Rejects where the directory gives no answer in time. */
export async function isMember(question: LdapQuestion): Promise<boolean> {
  const { options } = question;
  let timer: NodeJS.Timeout | undefined;
  const client = newClient(question);
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${options.timeout_ms} ms`));
    }, options.timeout_ms);
  });
  try {
    return await Promise.race([ask(client.client, question), late]);
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
}

function newClient({ options, authorities }: LdapQuestion): { readonly client: Client; readonly destroy: () => void } {
  let socket: Socket | null = null;
  const once = <Args extends unknown[]>(open: (...args: Args) => Socket) => {
    let isUsed = false;
    return (...args: Args): Socket => {
      if (isUsed) throw new Error('the directory has closed the connection');
      isUsed = true;
      socket = open(...args);
      return socket;
    };
  };
  const client = new Client({
    url: options.url,
    timeout: options.timeout_ms,
    connectTimeout: options.timeout_ms,
    // Where they are given the library speaks TLS from the first byte, whatever the address says.
    ...(options.url.startsWith('ldaps:') && { tlsOptions: tlsOptions(authorities) }),
    createConnection: once(connect) as typeof connect,
    createSecureConnection: once(connectTls) as typeof connectTls,
  });
  return {
    client,
    destroy: () => {
      // An unbind would wait for a server that has stopped.
      socket?.destroy();
    },
  };
}

const tlsOptions = (authorities: Buffer | null): { readonly minVersion: 'TLSv1.2'; readonly ca?: Buffer } => ({ minVersion: 'TLSv1.2', ...(authorities !== null && { ca: authorities }) });

async function ask(client: Client, { options, authorities, user, password }: LdapQuestion): Promise<boolean> {
  const userDn = options.user_dn.replaceAll('{user}', user);
  if (options.start_tls) await client.startTLS({ ...tlsOptions(authorities), servername: new URL(options.url).hostname });
  try {
    await client.bind(userDn, password);
  } catch (error) {
    if (error instanceof ResultCodeError && REFUSING.has(error.code)) return false;
    throw error;
  }
  const group = filterValue(options.group_dn);
  if (await isThere(client, userDn, `(memberOf=${group})`)) return true;
  const member = filterValue(userDn);
  return isThere(client, options.group_dn, `(|(member=${member})(uniqueMember=${member})(memberUid=${user}))`);
}

async function isThere(client: Client, base: string, filter: string): Promise<boolean> {
  try {
    const { searchEntries } = await client.search(base, { scope: 'base', filter, attributes: ['1.1'], sizeLimit: 1 });
    return searchEntries.length > 0;
  } catch (error) {
    if (error instanceof ResultCodeError && UNSEEN.has(error.code)) return false;
    throw error;
  }
}

/** RFC 4515: what has a meaning in a filter is written as its code. */
const filterValue = (text: string): string => text.replace(/[\\*()\0]/g, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
