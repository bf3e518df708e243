/** The directory of senders, where one is set: its library is loaded then and not before. */

import { readFileSync } from 'node:fs';
import type { Clock } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { IngressLog } from '../log.ts';
import { Directory } from './directory.ts';
import type { LdapOptions } from './options.ts';

/** Null where none is set. Raises CONFIG_INVALID. */
export async function openDirectory(options: LdapOptions, clock: Clock, log: IngressLog): Promise<Directory | null> {
  if (options.url === '') return null;
  const authorities = readAuthorities(options);
  const { isMember } = await import('./ldap.ts');
  return new Directory({ options, clock, log, isMember: (user, password) => isMember({ options, authorities, user, password }) });
}

/** Null for those of the system. Raises CONFIG_INVALID. */
export function readAuthorities({ ca_file: file }: LdapOptions): Buffer | null {
  if (file === '') return null;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `ingest.auth.ldap.ca_file: ${file} cannot be read: ${messageOf(error)}`, { cause: error, fix: 'check its path and permissions' });
  }
}
