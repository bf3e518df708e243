/**
 * One kept connection to the door, one request at a time, as plain as HTTP allows: a head and a body out, a status and a body back.
 *
 * A request whose connection breaks is an error for its caller, who sends it again; the next one connects anew.
 */

import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export class Connection {
  readonly #port: number;
  #socket: Socket | null = null;
  #received = '';
  #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  /** `body` is taken until the answer. */
  post(path: string, contentType: string, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#received = '';
      const socket = (this.#socket ??= this.#open());
      socket.cork();
      socket.write(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${this.#port}\r\ncontent-type: ${contentType}\r\ncontent-length: ${body.byteLength}\r\n\r\n`);
      socket.write(body);
      socket.uncork();
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.#received += String(text);
      this.#read();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null;
      this.#waiting?.reject(new Error('the connection was closed'));
      this.#waiting = null;
    });
    return socket;
  }

  #read(): void {
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0 || this.#waiting === null) return;
    const head = this.#received.slice(0, headEnd);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const body = this.#received.slice(headEnd + HEAD_END.length);
    if (body.length < length) return;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    if (/\r\nconnection: *close/i.test(head)) this.close();
    resolve({ status: Number(head.slice(9, 12)), body });
  }
}
