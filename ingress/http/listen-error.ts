/** Why a port cannot be listened on, as the error a user can act on. */

import { EngineError, messageOf } from '../../engine/core/errors.ts';

export function listenError(cause: unknown, host: string, port: number): EngineError {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  if (code === 'EADDRINUSE') {
    return new EngineError('PORT_IN_USE', `port ${port} on ${host} is in use by another process`, {
      cause,
      where: { host, port },
      fix: 'stop the other process, or set ingest.port (MILLRACE_INGEST_PORT) to a free port',
    });
  }
  return new EngineError('CONFIG_INVALID', `ingest.host ${host}, ingest.port ${port}: cannot be listened on (${messageOf(cause)})`, {
    cause,
    where: { host, port },
    fix: code === 'EACCES' ? 'choose a port above 1023' : 'set ingest.host (MILLRACE_INGEST_HOST) to an address of this machine, such as 0.0.0.0 or 127.0.0.1',
  });
}
