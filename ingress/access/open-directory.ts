/** The directory of senders, where one is set: its library is loaded then and not before. */

import fs from 'node:fs';
import type { Clock } from '../../engine/core/clock.ts';
import { readSettingFile } from '../../engine/core/setting-file.ts';
import type { IngressLog } from '../log.ts';
import { Directory } from './directory.ts';
import type { LdapOptions } from './options.ts';

/** Chosen: more than all the authorities that a system trusts. */
const AUTHORITIES_BYTES_MAX = 1024 * 1024;

/** Null where none is set. Raises CONFIG_INVALID. */
export async function openDirectory(options: LdapOptions, clock: Clock, log: IngressLog): Promise<Directory | null> {
  if (options.url === '') return null;
  const authorities = readAuthorities(options);
  const { isMember } = await import('./ldap.ts');
  return new Directory({ options, clock, log, isMember: (user, password) => isMember({ options, authorities, user, password }) });
}

/** Null for those of the system. Raises CONFIG_INVALID. */
export const readAuthorities = ({ ca_file: file }: LdapOptions): Buffer | null =>
  file === '' ? null : readSettingFile(fs, { setting: 'ingest.auth.ldap.ca_file', file, bytesMax: AUTHORITIES_BYTES_MAX });
