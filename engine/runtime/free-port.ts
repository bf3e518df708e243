/**
 * A port that nobody listens on now, chosen by the system. A server is given its number instead of 0: sockets of a server that listened on 0
 * lack SO_REUSEADDR, so that its port cannot be taken again while old connections linger, not even by its own replacement.
 */

import { createServer } from 'node:net';

/** 0 when the host cannot be listened on: the server's own attempt says why. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(0);
    });
    server.listen({ host, port: 0, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}
