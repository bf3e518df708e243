/** Free TCP ports, for daemons that must come back on the same one. */

import { freePort as freePortOrZero } from '../../engine/runtime/free-port.ts';

/** The system may choose a port again before its server has come to listen there. */
const given = new Set<number>();

/** A port nobody has now, each only once. Port 0 will not do where two servers are to meet on one: sockets on a port of the system's choice never share it. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const port = await freePortOrZero(host);
  if (port === 0) throw new Error(`${host} cannot be listened on`);
  if (given.has(port)) return freePort(host);
  given.add(port);
  return port;
}
