/** Free TCP ports, for daemons that must come back on the same one. */

import { createServer } from 'node:net';

/** A port nobody has now. Port 0 will not do where two servers are to meet on one: sockets on a port of the system's choice never share it. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}
