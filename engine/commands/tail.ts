/** `millrace tail`: asks the running daemon for its last records, and goes on asking. */

import { EngineError } from '../core/errors.ts';
import { VERDICT_NAMES } from '../core/record.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { fetchJson } from './admin-client.ts';
import { adminUrl, loadSettings } from './settings.ts';

export interface TailRecord {
  readonly received_at: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly partition: number;
  readonly journal: number;
  readonly offset: number;
  readonly batch: number;
  readonly index: number;
  readonly cell: { readonly window_start: string; readonly dimensions: Readonly<Record<string, string>> } | null;
  readonly event: Readonly<Record<string, string>> | null;
  readonly bytes: string;
}

const FOLLOW_INTERVAL_MS = 500;
const FOLLOW_LIMIT = 500;

export async function tail(options: { readonly config?: string; readonly admin?: string; readonly limit: number; readonly follow: boolean; readonly app?: string; readonly outcome?: string; readonly json: boolean }): Promise<number> {
  if (options.outcome !== undefined && !(VERDICT_NAMES as readonly string[]).includes(options.outcome)) {
    throw new EngineError('CONFIG_INVALID', `--outcome ${options.outcome}: use one of ${VERDICT_NAMES.join(', ')}`);
  }
  const base = adminUrl(loadSettings(options), options.admin);
  let after = '';
  let limit = options.limit;
  do {
    const query = new URLSearchParams({ limit: String(limit) });
    if (options.app !== undefined) query.set('app_id', options.app);
    if (options.outcome !== undefined) query.set('outcome', options.outcome);
    if (after !== '') query.set('after', after);
    const answer = await fetchJson<{ records: TailRecord[]; cursor: string; more: boolean }>(`${base}/v1/tail?${query.toString()}`);
    for (const record of answer.records) process.stdout.write(`${options.json ? JSON.stringify(record) : line(record)}\n`);
    after = answer.cursor;
    limit = FOLLOW_LIMIT;
    if (options.follow && !answer.more) await new Promise((resolve) => setTimeout(resolve, FOLLOW_INTERVAL_MS));
  } while (options.follow);
  return exitCodes.ok;
}

function line(record: TailRecord): string {
  const what = record.event === null ? record.bytes.slice(0, 80) : Object.entries(record.event).map(([name, value]) => `${name}=${value}`).join(' ');
  const where = record.cell === null ? '' : ` → ${record.cell.window_start} ${Object.values(record.cell.dimensions).join(' / ')}`;
  const reason = record.reason === null ? '' : ` ${record.reason}`;
  return `${record.received_at} ${record.outcome}${reason} p${record.partition} ${what}${where}`;
}
