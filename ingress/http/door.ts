/**
 * The door: an HTTP server in front of the journal, uWebSockets.js where it loads, node:http otherwise. Both drive the same
 * {@link Exchange}, so that they answer alike; test/integration/ingress runs one suite against both.
 */

import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { IngressLog } from '../log.ts';
import type { DoorChoice } from '../options.ts';
import { doorFor } from '../tls/options.ts';
import type { TlsMaterial } from '../tls/tls-files.ts';
import type { Intake } from './intake.ts';
import { openNodeDoor } from './node.ts';
import { loadUws, openUwsDoor } from './uws.ts';

export interface Door {
  readonly kind: 'uws' | 'node';
  /** Why it is not uWebSockets.js although that was wanted; null otherwise. */
  readonly fallbackReason: string | null;
  readonly port: number;
  /** Open connections. */
  readonly connections: number;
  /** New connections get this certificate. May raise: then nothing has changed. */
  renew(material: TlsMaterial): void;
  /** Takes no new connections. Those that are open go on. */
  stopListening(): void;
  /** Ends every connection at once. */
  close(): void;
}

/** Raises DOOR_UNAVAILABLE (with `choice` uws only), PORT_IN_USE or CONFIG_INVALID. */
export async function openDoor(wanted: DoorChoice, intake: Intake, log: IngressLog): Promise<Door> {
  const choice = doorFor(wanted, intake.options.tls);
  if (choice === 'node') return openNodeDoor(intake, null);
  try {
    return await openUwsDoor(await loadUws(), intake);
  } catch (error) {
    if (choice === 'uws' || !(error instanceof EngineError) || error.code !== 'DOOR_UNAVAILABLE') throw error;
    const reason = messageOf(error.cause ?? error);
    log.warn({ door: 'node', reason }, 'uWebSockets.js cannot be loaded: node:http serves the ingest port');
    return openNodeDoor(intake, reason);
  }
}
