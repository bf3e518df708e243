/** Free TCP ports, for daemons that must come back on the same one. */

import { freePort as freePortOrZero } from '../../engine/runtime/free-port.ts';

/** A port nobody has now. Port 0 will not do where two servers are to meet on one: sockets on a port of the system's choice never share it. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const port = await freePortOrZero(host);
  if (port === 0) throw new Error(`${host} cannot be listened on`);
  return port;
}
