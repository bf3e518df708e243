/**
 * The part of uWebSockets.js that its door uses, in types of our own: the package is optional and may not be there to compile
 * against, and its own types lack `listen` with host, port and options together.
 */

export interface UwsListenSocket {
  readonly uwsListenSocket: unique symbol;
}

export interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(key: string, value: string): UwsResponse;
  /** Chunked; more may follow. */
  write(chunk: string): boolean;
  end(body?: string, closeConnection?: boolean): UwsResponse;
  endWithoutBody(reportedContentLength?: number, closeConnection?: boolean): UwsResponse;
  close(): UwsResponse;
  /** IPv4 in dots, IPv6 in eight groups. */
  getRemoteAddressAsText(): ArrayBuffer;
  /** The response may not be touched once this was called. */
  onAborted(handler: () => void): UwsResponse;
  /** The chunk is void when the handler returns. */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): UwsResponse;
  /** Runs the callback now; what it writes leaves in one system call. */
  cork(callback: () => void): UwsResponse;
}

/** Valid during the handler's call only. */
export interface UwsRequest {
  getHeader(lowerCaseKey: string): string;
  getUrl(): string;
  getCaseSensitiveMethod(): string;
  getQuery(): string | undefined;
}

type UwsHandler = (response: UwsResponse, request: UwsRequest) => void;

export interface UwsApp {
  get(pattern: string, handler: UwsHandler): UwsApp;
  post(pattern: string, handler: UwsHandler): UwsApp;
  put(pattern: string, handler: UwsHandler): UwsApp;
  any(pattern: string, handler: UwsHandler): UwsApp;
  /** Called with 1 for each connection that opens and with -1 for each that closes. */
  filter(handler: (response: UwsResponse, change: number) => void): UwsApp;
  /** Calls back before it returns. */
  listen(host: string, port: number, options: number, callback: (socket: UwsListenSocket | false) => void): UwsApp;
  close(): UwsApp;
}

export interface UwsTlsOptions {
  readonly cert_file_name: string;
  readonly key_file_name: string;
}

export interface UwsModule {
  App(): UwsApp;
  /** TLS 1.2 and later; raises where the files do not fit together. */
  SSLApp(options: UwsTlsOptions): UwsApp;
  us_listen_socket_close(socket: UwsListenSocket): void;
  us_socket_local_port(socket: UwsListenSocket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}
