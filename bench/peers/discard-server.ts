/** The bar to measure against: uWebSockets.js that reads the same POSTs, throws them away and answers 200. Prints its port. */

const name: string = 'uWebSockets.js';
const { App } = ((await import(name)) as { default: { App: () => DiscardApp } }).default;

interface DiscardResponse {
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): DiscardResponse;
  onAborted(handler: () => void): DiscardResponse;
  end(body: string): DiscardResponse;
}
interface DiscardApp {
  post(pattern: string, handler: (response: DiscardResponse) => void): DiscardApp;
  listen(host: string, port: number, listening: (socket: unknown) => void): DiscardApp;
}

const port = Number(process.argv[2]);
App()
  .post('/*', (response) => {
    response.onAborted(() => undefined);
    response.onData((_chunk, isLast) => {
      if (isLast) response.end('{"status":"ok"}');
    });
  })
  .listen('127.0.0.1', port, (socket) => {
    process.stdout.write(socket === false ? 'failed\n' : 'listening\n');
  });
