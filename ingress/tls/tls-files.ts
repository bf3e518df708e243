/**
 * Certificate, key and authorities of the door: read, judged before the door sees them, and read again when they are renewed.
 *
 * What does not fit together, such as a new certificate beside the old key while both are being replaced, changes nothing: the door goes on with what it
 * has, and the log says why. Connections that are open keep the certificate they began with. Owned by the ingress thread.
 */

import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import { createSecureContext } from 'node:tls';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { readSettingFile } from '../../engine/core/setting-file.ts';
import { FileWatch, looksOfFiles } from '../file-watch.ts';
import type { IngressLog } from '../log.ts';
import type { TlsOptions } from './options.ts';

const FILE_BYTES_MAX = 1024 * 1024;
export const TLS_VERSION_MIN = 'TLSv1.2';

/** What fits together. */
export interface TlsMaterial {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Of clients, which must have a certificate of one of these; null where they need none. */
  readonly clientAuthorities: Buffer | null;
  /** Epoch ms. */
  readonly expiresAtMs: number;
  /** Of the files, before they were read. */
  readonly seen: string;
}

/** Null where the door speaks no TLS. Raises CONFIG_INVALID with the setting, the file and what to mend. */
export function readTls(options: TlsOptions): TlsMaterial | null {
  const { cert_file: certFile, key_file: keyFile, client_ca_file: authoritiesFile } = options;
  if (certFile === '') return null;
  const seen = looksOfFiles(filesOf(options));
  const cert = read('cert_file', certFile);
  const key = read('key_file', keyFile);
  const clientAuthorities = authoritiesFile === '' ? null : read('client_ca_file', authoritiesFile);
  try {
    createSecureContext({ cert, key, ...(clientAuthorities !== null && { ca: clientAuthorities }) });
    return { certFile, keyFile, cert, key, clientAuthorities, expiresAtMs: Date.parse(new X509Certificate(cert).validTo), seen };
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `ingest.tls: ${certFile} and ${keyFile} do not make a certificate to serve: ${messageOf(error)}`, { cause: error, fix: 'give PEM files, the certificate with its chain first, and the key that belongs to it, without a passphrase' });
  }
}

const read = (name: string, file: string): Buffer => readSettingFile(fs, { setting: `ingest.tls.${name}`, file, bytesMax: FILE_BYTES_MAX });

const filesOf = (options: TlsOptions): readonly string[] => [options.cert_file, options.key_file, options.client_ca_file].filter((file) => file !== '');

/** Looks at the files and hands over what is new in them. */
export class WatchedTls {
  readonly #options: TlsOptions;
  readonly #log: IngressLog;
  readonly #renew: (material: TlsMaterial) => void;
  #material: TlsMaterial;
  readonly #watch: FileWatch;

  /** `material`: what {@link readTls} gave. `renew` may raise: then the old one stays. */
  constructor(options: TlsOptions, material: TlsMaterial, log: IngressLog, renew: (material: TlsMaterial) => void) {
    this.#options = options;
    this.#material = material;
    this.#log = log;
    this.#renew = renew;
    this.#watch = new FileWatch(filesOf(options), material.seen, () => {
      this.readAgain();
    });
  }

  get expiresAtMs(): number {
    return this.#material.expiresAtMs;
  }

  readAgain(): void {
    try {
      const material = readTls(this.#options);
      if (material === null || isSame(material, this.#material)) return;
      this.#renew(material);
      this.#material = material;
      this.#log.info({ file: material.certFile, expiresAt: new Date(material.expiresAtMs).toISOString() }, 'the certificate of the door was renewed');
    } catch (error) {
      this.#log.error({ file: this.#options.cert_file, error: messageOf(error) }, 'the certificate of the door could not be renewed: the one before stays');
    }
  }

  stop(): void {
    this.#watch.stop();
  }
}

const isSame = (left: TlsMaterial, right: TlsMaterial): boolean =>
  left.cert.equals(right.cert) && left.key.equals(right.key) && (left.clientAuthorities ?? NONE).equals(right.clientAuthorities ?? NONE);
const NONE = Buffer.alloc(0);
