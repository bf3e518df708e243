/** Settings of TLS on the ingest port: off unless a certificate is named. */

import { EngineError } from '../../engine/core/errors.ts';
import { z } from '../../engine/core/schema.ts';
import type { DoorChoice } from '../options.ts';

const file = () => z.string().max(4_000).default('');

export const tlsOptionsSchema = z.strictObject({
  cert_file: file().describe('PEM file with the certificate and its chain: the ingest port speaks TLS 1.2 and later; read again when it changes'),
  key_file: file().describe('PEM file with its key'),
  client_ca_file: file().describe('PEM file with the authorities of which a client must have a certificate; node:http only: uWebSockets.js cannot insist on one'),
});

/**
 * uWebSockets.js (3.0.6) asks for a client's certificate and lets in who shows none: only node:http can insist.
 * Raises CONFIG_INVALID where the other one was asked for.
 */
export function doorFor(choice: DoorChoice, { client_ca_file: authorities }: TlsOptions): DoorChoice {
  if (authorities === '') return choice;
  if (choice !== 'uws') return 'node';
  throw new EngineError('CONFIG_INVALID', 'door: uws: uWebSockets.js cannot insist on the client certificates of ingest.tls.client_ca_file', { fix: 'set door (MILLRACE_DOOR) to auto or node' });
}

export type TlsOptions = Readonly<z.output<typeof tlsOptionsSchema>>;
