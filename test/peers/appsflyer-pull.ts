/**
 * AppsFlyer's Pull API as public facts tell of it: a bearer token, a quota by app and report, a 302 to a signed address on another port that must not see
 * the token, one CSV with the newest rows first, cut without a word at `maximum_rows`; and its faults, on demand.
 *
 * What it does not know is whether `to` is part of a window: that is an option. Times are UTC.
 */

import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export type PullRow = Readonly<Record<string, string>>;

/** What the next call meets instead of its report. `cut`, `slow` and `columns` begin as the report does. */
export type PullFault =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string; readonly type?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'still' }
  /** The connection is closed without an answer. */
  | { readonly kind: 'reset' }
  /** Each row loses its last cell, from this one on; from 0. */
  | { readonly kind: 'columns'; readonly fromRow: number; readonly rows: number };

export interface PullCall {
  readonly app: string;
  readonly report: string;
  readonly query: Readonly<Record<string, string>>;
  readonly authorization: string | undefined;
}

export interface PullPeerOptions {
  readonly token?: string;
  /** Of one report and app in all. */
  readonly callsMax?: number;
  readonly isToInclusive?: boolean;
  readonly gzip?: boolean;
  /** Instead of the 81. */
  readonly columns?: readonly string[];
}

export const QUOTA_TEXT = 'Your API calls limit has been reached for the given report type';
export const DEFAULT_COLUMNS: readonly string[] = [
  'Attributed Touch Type', 'Attributed Touch Time', 'Install Time', 'Event Time', 'Event Name', 'Event Value', 'Event Revenue', 'Event Revenue Currency', 'Event Revenue USD', 'Event Source', 'Is Receipt Validated',
  'Partner', 'Media Source', 'Channel', 'Keywords', 'Campaign', 'Campaign ID', 'Adset', 'Adset ID', 'Ad', 'Ad ID', 'Ad Type', 'Site ID', 'Sub Site ID', 'Sub Param 1', 'Sub Param 2', 'Sub Param 3', 'Sub Param 4', 'Sub Param 5',
  'Cost Model', 'Cost Value', 'Cost Currency', 'Contributor 1 Partner', 'Contributor 1 Media Source', 'Contributor 1 Campaign', 'Contributor 1 Touch Type', 'Contributor 1 Touch Time', 'Contributor 2 Partner', 'Contributor 2 Media Source',
  'Contributor 2 Campaign', 'Contributor 2 Touch Type', 'Contributor 2 Touch Time', 'Contributor 3 Partner', 'Contributor 3 Media Source', 'Contributor 3 Campaign', 'Contributor 3 Touch Type', 'Contributor 3 Touch Time', 'Region',
  'Country Code', 'State', 'City', 'Postal Code', 'DMA', 'IP', 'WIFI', 'Operator', 'Carrier', 'Language', 'AppsFlyer ID', 'Advertising ID', 'IDFA', 'Android ID', 'Customer User ID', 'IMEI', 'IDFV', 'Platform', 'Device Type', 'OS Version',
  'App Version', 'SDK Version', 'App ID', 'App Name', 'Bundle ID', 'Is Retargeting', 'Retargeting Conversion Type', 'Attribution Lookback', 'Reengagement Window', 'Is Primary Attribution', 'User Agent', 'HTTP Referrer', 'Original URL',
];

const EXTRA_COLUMNS: Readonly<Record<string, string>> = { conversion_type: 'Conversion Type', campaign_type: 'Campaign Type', device_category: 'Device Category' };
const headingOf = (field: string): string => EXTRA_COLUMNS[field] ?? field.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(' ');
const ROWS_TAKEN = ['200000', '1000000'];
const TIME = /^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?$/;

export class PullPeer {
  readonly calls: PullCall[] = [];
  /** Requests to the second port that carried the token: none should. */
  tokensLeaked = 0;
  token: string;
  /** Each is met by one call, in order. */
  readonly faults: PullFault[] = [];
  readonly #options: PullPeerOptions;
  readonly #rows = new Map<string, PullRow[]>();
  readonly #signed = new Map<string, () => { header: readonly string[]; rows: Iterable<PullRow>; fault: PullFault | null }>();
  readonly #api: Server;
  readonly #files: Server;

  private constructor(options: PullPeerOptions) {
    this.#options = options;
    this.token = options.token ?? 'pull-token-of-the-tests';
    this.#api = createServer((request, answer) => {
      this.#call(request, answer);
    });
    this.#files = createServer((request, answer) => {
      void this.#file(request, answer);
    });
  }

  static async start(options: PullPeerOptions = {}): Promise<PullPeer> {
    const peer = new PullPeer(options);
    for (const server of [peer.#api, peer.#files]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  async stop(): Promise<void> {
    for (const server of [this.#api, this.#files]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#api.address() as AddressInfo).port}`;
  }

  /** Rows by heading; what is not given is an empty cell. */
  add(app: string, report: string, rows: readonly PullRow[]): void {
    const key = `${app}/${report}`;
    const kept = this.#rows.get(key) ?? [];
    for (const row of rows) kept.push(row);
    this.#rows.set(key, kept);
  }

  callsOf(report: string): PullCall[] {
    return this.calls.filter((call) => call.report === report);
  }

  #call(request: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url);
    const path = /^\/api\/raw-data\/export\/app\/([^/]+)\/([^/]+)\/v5$/.exec(url.pathname);
    if (path === null) return text(answer, 404, '<html><body>Not Found</body></html>', 'text/html');
    const [app, report] = [decodeURIComponent(path[1] as string), path[2] as string];
    const query = Object.fromEntries(url.searchParams);
    this.calls.push({ app, report, query, authorization: request.headers.authorization });
    if (request.headers.authorization !== `Bearer ${this.token}`) return text(answer, 401, 'Supplied API token is invalid');
    const fault = this.faults.shift() ?? null;
    if (fault?.kind === 'answer') return text(answer, fault.status, fault.body, fault.type, fault.headers);
    if (fault?.kind === 'reset') return void request.socket.destroy();
    if (this.calls.filter((call) => call.app === app && call.report === report).length > (this.#options.callsMax ?? Infinity)) return text(answer, 400, QUOTA_TEXT);
    const wrong = problemOf(query);
    if (wrong !== null) return text(answer, 400, wrong);
    const id = randomBytes(16).toString('hex');
    this.#signed.set(id, () => ({ header: [...(this.#options.columns ?? DEFAULT_COLUMNS), ...(query['additional_fields'] ?? '').split(',').filter((field) => field !== '').map(headingOf)], rows: this.#window(`${app}/${report}`, query), fault }));
    answer.writeHead(302, { location: `http://127.0.0.1:${(this.#files.address() as AddressInfo).port}/export/token/${id}` });
    answer.end();
  }

  #window(key: string, query: Readonly<Record<string, string>>): PullRow[] {
    const [column, from, to] = query['from_detect_time'] === undefined ? ['Event Time', query['from'], query['to']] : ['Detection Date', query['from_detect_time'], query['to_detect_time']];
    const first = timeOf(from as string);
    const last = timeOf(to as string);
    const inside = (this.#rows.get(key) ?? []).filter((row) => {
      const time = Date.parse(`${(row[column] ?? '').replace(' ', 'T')}Z`);
      return Number.isNaN(time) || (time >= first && (time < last || (this.#options.isToInclusive === true && time === last)));
    });
    return inside.reverse().slice(0, Number(query['maximum_rows'] ?? 200_000));
  }

  async #file(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    if (request.headers.authorization !== undefined) this.tokensLeaked++;
    const report = this.#signed.get((request.url ?? '').split('/').at(-1) ?? '')?.();
    if (report === undefined) return text(answer, 403, 'expired');
    const { header, rows, fault } = report;
    if (this.#options.gzip === true) {
      answer.writeHead(200, { 'content-type': 'text/csv', 'content-encoding': 'gzip' });
      return void answer.end(gzipSync([...csv(header, rows, fault)].join('')));
    }
    answer.writeHead(200, { 'content-type': 'text/csv' });
    let sent = 0;
    for (const piece of csv(header, rows, fault)) {
      if (fault?.kind === 'cut' && sent + piece.length > fault.afterBytes) {
        answer.write(piece.slice(0, Math.max(1, fault.afterBytes - sent)));
        setTimeout(() => answer.destroy(), 50);
        return;
      }
      sent += piece.length;
      if (!answer.write(piece)) await new Promise((resolve) => answer.once('drain', resolve));
      if (answer.destroyed) return;
      if (fault?.kind === 'still') return;
    }
    answer.end();
  }
}

function* csv(header: readonly string[], rows: Iterable<PullRow>, fault: PullFault | null): Generator<string> {
  let piece = `${header.map(quoted).join(',')}\n`;
  let row = 0;
  for (const cells of rows) {
    const line = header.map((heading) => quoted(cells[heading] ?? ''));
    if (fault?.kind === 'columns' && row >= fault.fromRow && row < fault.fromRow + fault.rows) line.pop();
    row++;
    piece += `${line.join(',')}\n`;
    if (piece.length > 65_536) {
      yield piece;
      piece = '';
    }
  }
  yield piece;
}

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
const timeOf = (text: string): number => Date.parse(`${text.replace(' ', 'T')}${text.length === 10 ? 'T00:00' : ''}Z`);

function problemOf(query: Readonly<Record<string, string>>): string | null {
  const { from = '', to = '' } = query;
  if (!TIME.test(from) || !TIME.test(to)) return 'Invalid date';
  if (timeOf(from) < Math.floor(Date.now() / 86_400_000) * 86_400_000 - 90 * 86_400_000) return 'Raw reports historical lookback is limited to 90 days';
  if (query['maximum_rows'] !== undefined && !ROWS_TAKEN.includes(query['maximum_rows'])) return 'Invalid limit type/value';
  return null;
}

function text(answer: ServerResponse, status: number, body: string, type = 'text/plain', headers: Readonly<Record<string, string>> = {}): void {
  answer.writeHead(status, { 'content-type': type, ...headers });
  answer.end(body);
}
