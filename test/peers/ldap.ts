/** Real directories for tests: OpenLDAP's slapd, and 389-ds, which is FreeIPA's; the same users and groups in both. */

import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Attribute, Change, Client } from 'ldapts';
import { describe, test } from 'vitest';
import { freePort } from '../support/ports.ts';
import { makeAuthority } from './redis.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

export const LDAP_PEERS = ['slapd', '389-ds'] as const;
export type LdapPeer = (typeof LDAP_PEERS)[number];

const COMMANDS: Readonly<Record<LdapPeer, string>> = { slapd: '/usr/sbin/slapd', '389-ds': '/usr/sbin/ns-slapd' };
const PACKAGES: Readonly<Record<LdapPeer, string>> = { slapd: 'slapd', '389-ds': '389-ds-base' };
const SYSTEM_PYTHON = '/usr/bin/python3';
/** 389-ds wants its own user and directories below /etc and /var. */
const hasLdap = (peer: LdapPeer): boolean => existsSync(COMMANDS[peer]) && (peer === 'slapd' || (process.getuid?.() === 0 && spawnSync(SYSTEM_PYTHON, ['-c', 'import lib389']).status === 0));

/** A group of tests that need a directory: skipped by name where it is missing, failing there in CI. */
export function describeWithLdap(peer: LdapPeer, name: string, body: () => void): void {
  if (hasLdap(peer)) describe(name, body);
  else if (process.env['CI'] === 'true') {
    describe(name, () => {
      test(`${peer} is installed`, () => {
        throw new Error(`${peer} is missing: apt-get install ${PACKAGES[peer]}`);
      });
    });
  } else describe.skip(`${name} (skipped: ${peer} is missing, apt-get install ${PACKAGES[peer]}, as root)`, body);
}

export const SUFFIX = 'dc=example,dc=com';
export const USER_DN = `uid={user},ou=people,${SUFFIX}`;
/** Has anna as a member; in 389-ds also bert, by way of `team`. */
export const SENDERS_DN = `cn=senders,ou=groups,${SUFFIX}`;
export const PASSWORDS = { anna: 'annas (password)*', bert: 'berts:password', carl: 'carls-password' } as const;
const ROOT_PASSWORD = 'root-password-of-the-test';

export interface LdapServer extends ServerProcess {
  readonly plainUrl: string;
  readonly tlsUrl: string;
  readonly caFile: string;
  /** Neither answers nor hangs up until it is continued. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  setPassword(user: keyof typeof PASSWORDS, password: string): Promise<void>;
}

interface Prepared {
  readonly rootDn: string;
  readonly host: string;
  readonly port: number;
  readonly securePort: number;
  readonly caFile: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly remove: () => void;
}

export async function startLdap(peer: LdapPeer): Promise<LdapServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-ldap-'));
  const [port, securePort] = [await freePort(), await freePort()];
  const prepared = peer === 'slapd' ? prepareSlapd(directory, port, securePort) : prepare389(directory, port, securePort);
  const plainUrl = `ldap://${prepared.host}:${port}`;
  let pid = 0;
  const asRoot = async <Value>(work: (client: Client) => Promise<Value>): Promise<Value> => {
    const client = new Client({ url: plainUrl, timeout: 5_000, connectTimeout: 1_000 });
    try {
      await client.bind(prepared.rootDn, ROOT_PASSWORD);
      return await work(client);
    } finally {
      await client.unbind().catch(() => undefined);
    }
  };
  const server = await startServerProcess({
    spawn: () => {
      const child = spawn(prepared.command, prepared.args, { stdio: 'ignore' });
      pid = child.pid ?? 0;
      return child;
    },
    ready: () => untilAnswers(() => asRoot(() => Promise.resolve())),
    directory,
  });
  const stop = async (): Promise<void> => {
    await server.stop();
    prepared.remove();
  };
  try {
    await asRoot((client) => fill(client, peer));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...server,
    stop,
    plainUrl,
    tlsUrl: `ldaps://${prepared.host}:${securePort}`,
    caFile: prepared.caFile,
    signal: (signal) => {
      process.kill(pid, signal);
    },
    setPassword: (user, password) => asRoot((client) => client.modify(USER_DN.replace('{user}', user), new Change({ operation: 'replace', modification: new Attribute({ type: 'userPassword', values: [password] }) }))),
  };
}

const SLAPD_CONFIG = (directory: string, tls: { caFile: string; certFile: string; keyFile: string }): string => `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${directory}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile ${tls.caFile}
TLSCertificateFile ${tls.certFile}
TLSCertificateKeyFile ${tls.keyFile}
database mdb
suffix "${SUFFIX}"
rootdn "cn=admin,${SUFFIX}"
rootpw ${ROOT_PASSWORD}
directory ${directory}/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
`;

function prepareSlapd(directory: string, port: number, securePort: number): Prepared {
  const authority = makeAuthority();
  mkdirSync(join(directory, 'db'));
  const config = join(directory, 'slapd.conf');
  writeFileSync(config, SLAPD_CONFIG(directory, authority), { mode: 0o600 });
  return {
    rootDn: `cn=admin,${SUFFIX}`,
    host: '127.0.0.1',
    port,
    securePort,
    caFile: authority.caFile,
    command: COMMANDS.slapd,
    args: ['-f', config, '-h', `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${securePort}`, '-d', '0'],
    remove: () => {
      authority.remove();
    },
  };
}

function prepare389(directory: string, port: number, securePort: number): Prepared {
  const name = `millrace${port}`;
  const places = [`/etc/dirsrv/slapd-${name}`, `/var/lib/dirsrv/slapd-${name}`, `/var/log/dirsrv/slapd-${name}`, `/run/lock/dirsrv/slapd-${name}`, `/run/slapd-${name}.socket`, `/run/dirsrv/slapd-${name}.pid`];
  const remove = (): void => {
    for (const place of places) rmSync(place, { recursive: true, force: true });
  };
  try {
    execFileSync(SYSTEM_PYTHON, [join(import.meta.dirname, 'ldap-389.py'), name, String(port), String(securePort), ROOT_PASSWORD], { stdio: 'pipe', timeout: 120_000 });
  } catch (error) {
    remove();
    throw error;
  }
  const caFile = join(directory, 'ca.pem');
  copyFileSync('/etc/dirsrv/ssca/ca.crt', caFile);
  return { rootDn: 'cn=Directory Manager', host: 'localhost', port, securePort, caFile, command: COMMANDS['389-ds'], args: ['-D', places[0] as string, '-i', `/run/dirsrv/slapd-${name}.pid`, '-d', '0'], remove };
}

const person = (user: string, password: string): Record<string, string | string[]> => ({ objectClass: ['top', 'person', 'organizationalPerson', 'inetOrgPerson'], uid: user, cn: user, sn: user, userPassword: password });

async function fill(client: Client, peer: LdapPeer): Promise<void> {
  const readable = { aci: '(targetattr="* || memberOf")(version 3.0; acl "users read"; allow (read, search, compare) userdn="ldap:///all";)' };
  await client.add(SUFFIX, { objectClass: ['top', 'dcObject', 'organization'], dc: 'example', o: 'Example', ...(peer === '389-ds' && readable) });
  for (const unit of ['people', 'groups']) await client.add(`ou=${unit},${SUFFIX}`, { objectClass: ['top', 'organizationalUnit'], ou: unit });
  for (const [user, password] of Object.entries(PASSWORDS)) await client.add(USER_DN.replace('{user}', user), person(user, password));
  const dnOf = (user: keyof typeof PASSWORDS): string => USER_DN.replace('{user}', user);
  const team = `cn=team,ou=groups,${SUFFIX}`;
  await client.add(team, { objectClass: ['top', 'groupOfNames'], cn: 'team', member: dnOf('bert') });
  await client.add(SENDERS_DN, { objectClass: ['top', 'groupOfNames'], cn: 'senders', member: [dnOf('anna'), team] });
}

async function untilAnswers(ask: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await sleep(50);
    }
  }
}
