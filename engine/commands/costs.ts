/**
 * `millrace costs load`: a report of spend out of a file, judged here and sent to the running daemon in requests of a size that it takes.
 *
 * The file is judged whole before anything is sent. Its lines are gathered first: parts of one row that went in two requests would replace each
 * other there. By day, an app's and media source's rows of a date stay in one request for the same reason. A request without a final answer is
 * sent again: it states amounts and adds none.
 */

import { readFileSync, statSync } from 'node:fs';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { CostReportError, COST_CODES, isCostColumn, isCurrency, judgeCostRecords, readCosts, type CostReport, type ReadCostsOptions } from '../../actors/costs/index.ts';
import { readParquetRecords } from '../../sinks/lake/index.ts';
import { datesKept, type CostRow } from '../core/costs.ts';
import { costsBytesMax } from '../../ingress/index.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { startProgress } from './progress.ts';
import { ingestCredential, ingestUrl, loadSettings } from './settings.ts';

export interface LoadCostsOptions {
  readonly config?: string;
  readonly url?: string;
  readonly format?: string;
  readonly appId?: string;
  readonly currency?: string;
  readonly replace: string;
  readonly dryRun: boolean;
}

const FORMATS = ['csv', 'json', 'lines', 'parquet'] as const;
type Format = (typeof FORMATS)[number];
const ENDINGS: Readonly<Record<string, Format>> = { csv: 'csv', json: 'json', ndjson: 'lines', jsonl: 'lines', parquet: 'parquet' };
/** Chosen: the whole file is in memory, a few times over. */
const FILE_BYTES_MAX = 512 * 1024 ** 2;
const LINES_MAX = 5_000_000;
const SHOWN_MAX = 20;
const REQUEST_TIMEOUT_MS = 60_000;
const RETRY_MS = 500;
const ATTEMPTS_MAX = 60;

interface Answer {
  readonly inserted: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly removed: number;
}

export async function loadCosts(file: string, options: LoadCostsOptions): Promise<number> {
  const { replace, currency } = options;
  if (replace !== 'name' && replace !== 'day') throw new EngineError('CONFIG_INVALID', `--replace ${replace}: use name or day`);
  if (currency !== undefined && !isCurrency(currency)) throw new EngineError('CONFIG_INVALID', `--currency ${currency}: use three letters (ISO 4217)`);
  const settings = loadSettings(options);
  const report = await judged(file, formatOf(file, options.format), {
    dates: datesKept(Date.now(), settings.costs.retention_days),
    defaults: { appId: options.appId ?? null, currency: currency ?? null },
    // Reports of doubles have more decimals than there are.
    moreDecimals: 'round',
    linesMax: LINES_MAX,
    pause: () => turn(),
  });
  refuseBadLines(file, report);
  const dates = new Set(report.rows.map(({ date }) => date)).size;
  process.stderr.write(`${report.received} lines are ${report.rows.length} rows of ${dates} dates\n`);
  if (options.dryRun) return exitCodes.ok;
  const requests = requestsOf(report.rows, { rowsMax: settings.ingest.costs_rows_max, bytesMax: costsBytesMax(settings.ingest), byDay: replace === 'day' });
  const sums = await sendAll({ url: `${ingestUrl(settings, options.url)}/v1/costs?replace=${replace}`, credential: ingestCredential(settings) }, requests, report.rows.length);
  process.stdout.write(`${report.rows.length} rows: ${sums.inserted} new, ${sums.changed} changed, ${sums.unchanged} as they were; ${sums.removed} others removed\n`);
  return exitCodes.ok;
}

function formatOf(file: string, given: string | undefined): Format {
  const format = FORMATS.find((name) => name === given) ?? (given === undefined ? ENDINGS[file.slice(file.lastIndexOf('.') + 1).toLowerCase()] : undefined);
  if (format === undefined) throw new EngineError('CONFIG_INVALID', `${given === undefined ? file : `--format ${given}`}: say the format with --format: ${FORMATS.join(', ')}`);
  return format;
}

async function judged(file: string, format: Format, options: ReadCostsOptions): Promise<CostReport> {
  let bytes: Uint8Array;
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes: cut it by dates`);
    bytes = readFileSync(file);
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${file} cannot be read: ${messageOf(error)}`);
  }
  try {
    return format === 'parquet' ? await judgedParquet(bytes, options) : await readCosts(bytes, format, options);
  } catch (error) {
    throw new EngineError('COSTS_REFUSED', `${file}: ${messageOf(error)}`, { fix: error instanceof CostReportError ? 'mend the file; nothing was sent' : 'is it of the format that its name says? nothing was sent' });
  }
}

async function judgedParquet(bytes: Uint8Array, options: ReadCostsOptions): Promise<CostReport> {
  const { names, records } = await readParquetRecords(bytes, isCostColumn);
  return judgeCostRecords(names, records, options);
}

function refuseBadLines(file: string, { rejected, received }: CostReport): void {
  if (rejected.length === 0) return;
  const shown = rejected.slice(0, SHOWN_MAX).map(({ index, code }) => `\n  line ${index}: ${code}: ${COST_CODES[code]}`);
  const more = rejected.length > SHOWN_MAX ? `\n  and ${rejected.length - SHOWN_MAX} more` : '';
  throw new EngineError('COSTS_REFUSED', `${file}: ${rejected.length} of ${received} lines cannot be taken (counted from 0, without the header):${shown.join('')}${more}\n`, { fix: 'mend the file; nothing was sent' });
}

interface RequestLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly byDay: boolean;
}

/** Bodies of JSON lines. */
function requestsOf(rows: readonly CostRow[], { rowsMax, bytesMax, byDay }: RequestLimits): { readonly body: string; readonly rows: number }[] {
  const requests: { body: string; bytes: number; rows: number }[] = [];
  for (const { text, bytes, count, name } of pieces(rows, byDay)) {
    const last = requests.at(-1);
    if (count > rowsMax || bytes > bytesMax) throw new EngineError('COSTS_REFUSED', `${name} has ${count} rows in ${bytes} bytes, and they must go in one request`, { fix: 'raise ingest.costs_rows_max and ingest.costs_bytes_max, here and for the daemon' });
    if (last !== undefined && last.rows + count <= rowsMax && last.bytes + bytes <= bytesMax) {
      last.body += text;
      last.bytes += bytes;
      last.rows += count;
    } else requests.push({ body: text, bytes, rows: count });
  }
  return requests;
}

/** What must stay together. */
function* pieces(rows: readonly CostRow[], byDay: boolean): Generator<{ text: string; bytes: number; count: number; name: string }> {
  const groups = new Map<string, string[]>();
  rows.forEach((row, index) => {
    const key = byDay ? `${row.date} ${row.appId} ${row.mediaSource}` : String(index);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [lineOf(row)]);
    else group.push(lineOf(row));
  });
  for (const [name, lines] of groups) {
    const text = lines.join('');
    yield { text, bytes: Buffer.byteLength(text), count: lines.length, name };
  }
}

const lineOf = (row: CostRow): string =>
  `${JSON.stringify({ date: row.date, app_id: row.appId, media_source: row.mediaSource, campaign_id: row.campaignId, campaign: row.campaign, country: row.country, currency: row.currency, cost: decimal(row.costMicros) })}\n`;

function decimal(micros: number): string {
  const digits = String(Math.abs(micros)).padStart(7, '0');
  return `${micros < 0 ? '-' : ''}${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

interface Door {
  readonly url: string;
  readonly credential: Readonly<Record<string, string>>;
}

async function sendAll(door: Door, requests: readonly { readonly body: string; readonly rows: number }[], total: number): Promise<Answer> {
  const sums = { inserted: 0, changed: 0, unchanged: 0, removed: 0 };
  const progress = startProgress('loading', total);
  let sent = 0;
  try {
    for (const { body, rows } of requests) {
      const answer = await send(door, body);
      for (const name of ['inserted', 'changed', 'unchanged', 'removed'] as const) sums[name] += answer[name];
      sent += rows;
      progress.update(sent, '');
    }
    return sums;
  } catch (error) {
    if (error instanceof EngineError && sent > 0) throw new EngineError(error.code, `${error.message} (${sent} of ${total} rows are kept)`, { fix: error.fix ?? 'load the file again: what is kept already changes nothing' });
    throw error;
  } finally {
    progress.stop();
  }
}

async function send({ url, credential }: Door, body: string): Promise<Answer> {
  let problem = '';
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (attempt > 0) await pause(RETRY_MS);
    try {
      const response = await fetch(url, { method: 'PUT', body, headers: { 'content-type': 'application/x-ndjson', ...credential }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as Answer;
      problem = `answered ${response.status}: ${text.slice(0, 500)}`;
      if (response.status < 500 && response.status !== 429) throw new EngineError('COSTS_REFUSED', `${url} ${problem}`, { fix: response.status === 401 || response.status === 403 ? 'the first of the tokens in ingest.auth is sent: run it with the configuration of the daemon' : 'is it the ingest address of a daemon, with the same settings?' });
    } catch (error) {
      if (error instanceof EngineError) throw error;
      problem = `does not answer (${error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error)})`;
    }
  }
  throw new EngineError('NOT_READY', `${url} ${problem}`, { fix: 'is the daemon running? give its ingest address with --url' });
}
