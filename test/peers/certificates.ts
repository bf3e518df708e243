/** Certificates for tests, by openssl: authorities, servers for 127.0.0.1 and localhost, clients. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export class TestCertificates {
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
  readonly caFile: string;

  constructor(authority = 'Test CA') {
    this.caFile = this.file('ca.pem');
    writeFileSync(this.file('san.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    this.#openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${authority}`, '-keyout', this.file('ca.key'), '-out', this.caFile);
  }

  file(name: string): string {
    return join(this.directory, name);
  }

  issue(name: string): KeyPair {
    const pair = { certFile: this.file(`${name}.pem`), keyFile: this.file(`${name}.key`) };
    this.#openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', pair.keyFile, '-out', this.file(`${name}.csr`));
    this.#openssl('x509', '-req', '-in', this.file(`${name}.csr`), '-CA', this.caFile, '-CAkey', this.file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', this.file('san.cnf'), '-out', pair.certFile);
    return pair;
  }

  /** Puts one pair where another one is, as a renewal does: one file after the other. */
  replace(place: KeyPair, by: KeyPair): void {
    copyFileSync(by.certFile, place.certFile);
    copyFileSync(by.keyFile, place.keyFile);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}
