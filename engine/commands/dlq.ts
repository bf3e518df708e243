/** `millrace dlq ls | show | retry | export | drop`: the dead letters of the running daemon, by its admin port. */

import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { EngineError } from '../core/errors.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import type { ToldError } from '../runtime/admin-server.ts';
import type { DropReport, RetryReport } from '../runtime/letter-work.ts';
import { fetchJson, postForLines, request, toldError } from './admin-client.ts';
import { startProgress } from './progress.ts';
import { adminUrl, loadSettings } from './settings.ts';

interface Letter {
  readonly code: string;
  readonly received_at: string;
  readonly source: string;
  readonly partition: number;
  readonly id: number;
  readonly size: number;
  readonly app_id: string | null;
  readonly state: string;
  readonly retry: { readonly outcome: string; readonly code: string | null } | null;
  readonly bytes: string;
  readonly base64?: string;
}

interface Page {
  readonly letters: readonly Letter[];
  readonly next_cursor: string | null;
}

interface Where {
  readonly config?: string;
  readonly admin?: string;
}

/** As on the command line; each is a parameter of the admin port. */
export interface LetterOptions extends Where {
  readonly code?: string;
  readonly app?: string;
  readonly source?: string;
  readonly state?: string;
  readonly partition?: number;
  readonly from?: string;
  readonly to?: string;
}

export interface WorkOptions extends LetterOptions {
  readonly all: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

type WorkLine<Report> = Report | { readonly selected: number } | { readonly error: ToldError };

const PAGE = 500;
const SHOWN_CHARACTERS_MAX = 100;

export async function listLetters(options: LetterOptions & { readonly limit: number; readonly json: boolean }): Promise<number> {
  const base = adminUrl(loadSettings(options), options.admin);
  let left = options.limit;
  for await (const letter of lettersOf(base, options, Math.min(options.limit, PAGE))) {
    if (left-- === 0) break;
    process.stdout.write(`${options.json ? JSON.stringify(letter) : line(letter)}\n`);
  }
  return exitCodes.ok;
}

/** The bytes alone, as they came. */
export async function showLetter(name: string, options: Where): Promise<number> {
  if (!/^[0-9]+\/[0-9]+$/.test(name)) throw new EngineError('CONFIG_INVALID', `${name}: name a dead letter as partition/id, as \`millrace dlq ls\` does`);
  const response = await request(`${adminUrl(loadSettings(options), options.admin)}/v1/dead-letters/${name}`, {});
  const bytes = Buffer.from(await response.arrayBuffer());
  process.stdout.write(bytes);
  const size = Number(response.headers.get('x-size'));
  if (size > bytes.byteLength) process.stderr.write(`millrace: the first ${bytes.byteLength} of ${size} bytes: no more were kept\n`);
  return exitCodes.ok;
}

/** Ends with 1 where a letter was rejected again or could not be sent. */
export async function retryLetters(names: readonly string[], options: WorkOptions & { readonly again: boolean }): Promise<number> {
  const report = await work<RetryReport>('retry', names, options, options.again ? { again: 'true' } : {});
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(retryText(report, options.dryRun));
  const unsent = Object.values(report.skipped).reduce((sum, count) => sum + count, 0);
  return report.cancelled || report.outcomes.rejected > 0 || unsent > 0 ? exitCodes.failure : exitCodes.ok;
}

export async function dropLetters(names: readonly string[], options: WorkOptions): Promise<number> {
  const report = await work<DropReport>('drop', names, options, {});
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : options.dryRun ? `${report.selected} dead letters would be dropped\n` : `${report.dropped} dead letters dropped\n`);
  return report.cancelled ? exitCodes.failure : exitCodes.ok;
}

/** One JSON object a line: what `ls --json` tells, with all bytes, as text where they are UTF-8 and as base64 where not. Into a new file, or on stdout for `-`. */
export async function exportLetters(path: string, options: LetterOptions): Promise<number> {
  const base = adminUrl(loadSettings(options), options.admin);
  const temporary = `${path}.part`;
  const file = path === '-' ? null : await newFile(path, temporary);
  const progress = startProgress('exporting', 0);
  let count = 0;
  try {
    for await (const { base64, bytes, ...letter } of lettersOf(base, { ...options, whole: true }, PAGE)) {
      const text = `${JSON.stringify({ ...letter, ...(base64 === undefined ? { bytes } : { base64 }) })}\n`;
      if (file === null) process.stdout.write(text);
      else await file.write(text);
      progress.update(++count, 'dead letters');
    }
    await file?.sync();
    await file?.close();
  } catch (error) {
    await file?.close().catch(() => undefined);
    if (file !== null) await rm(temporary, { force: true });
    throw error;
  } finally {
    progress.stop();
  }
  if (file !== null) {
    await rename(temporary, path);
    process.stdout.write(`${count} dead letters in ${path}\n`);
  }
  return exitCodes.ok;
}

async function newFile(path: string, temporary: string): Promise<FileHandle> {
  const exists = await open(path, 'r').then((file) => file.close().then(() => true), () => false);
  if (exists) throw new EngineError('CONFIG_INVALID', `${path} exists already`, { fix: 'name a file that does not' });
  return open(temporary, 'w');
}

async function* lettersOf(base: string, options: LetterOptions & { readonly whole?: boolean }, limit: number): AsyncGenerator<Letter> {
  const query = new URLSearchParams({ ...filterOf(options), limit: String(limit), ...(options.whole === true && { whole: 'true' }) });
  for (let cursor: string | null = ''; cursor !== null; ) {
    if (cursor !== '') query.set('cursor', cursor);
    const page: Page = await fetchJson<Page>(`${base}/v1/dead-letters?${query.toString()}`);
    yield* page.letters;
    cursor = page.next_cursor;
  }
}

function filterOf({ code, app, source, state, partition, from, to }: LetterOptions): Record<string, string> {
  const given = { code, app_id: app, source, state, partition: partition?.toString(), from, to };
  return Object.fromEntries(Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

async function work<Report extends object>(what: 'retry' | 'drop', names: readonly string[], options: WorkOptions, more: Readonly<Record<string, string>>): Promise<Report> {
  const base = adminUrl(loadSettings(options), options.admin);
  const query = new URLSearchParams({ ...filterOf(options), ...more, progress: 'true', ...(names.length > 0 && { letters: names.join(',') }), ...(options.all && { all: 'true' }), ...(options.dryRun && { dry_run: 'true' }) });
  const url = `${base}/v1/dead-letters/${what}?${query.toString()}`;
  const progress = startProgress(what === 'retry' ? 'sending again' : 'dropping', 0);
  let last: WorkLine<Report> | null = null;
  try {
    for await (const line of postForLines<WorkLine<Report>>(url)) {
      last = line;
      if ('selected' in line) progress.update(line.selected, 'dead letters');
    }
  } finally {
    progress.stop();
  }
  if (last !== null && 'error' in last) throw toldError(last.error);
  if (last === null || !('cancelled' in last)) throw new EngineError('NOT_READY', `${url} has ended in the middle`, { fix: 'ask again: what was sent counts once' });
  return last as Report;
}

function line(letter: Letter): string {
  const retry = letter.retry === null ? '' : ` → ${letter.retry.outcome}${letter.retry.code === null ? '' : ` ${letter.retry.code}`}`;
  const text = letter.base64 === undefined ? letter.bytes.replaceAll(/\s+/g, ' ') : `base64 ${letter.base64}`;
  return `${letter.partition}/${letter.id} ${letter.received_at} ${letter.code}${retry} ${letter.source} ${letter.app_id ?? '-'} ${letter.size} bytes ${text.slice(0, SHOWN_CHARACTERS_MAX)}`;
}

function retryText(report: RetryReport, isDryRun: boolean): string {
  const skipped = counts(report.skipped);
  if (isDryRun) {
    const unsent = Object.values(report.skipped).reduce((sum, count) => sum + count, 0);
    return `${report.selected - (unsent - report.skipped.gone)} dead letters would be sent again${skipped === '' ? '' : `, not ${skipped}`}\n`;
  }
  const lines = report.letters.map(({ partition, id, outcome, code }) => `${partition}/${id} ${outcome}${code === undefined ? '' : ` ${code}`}\n`).join('');
  const codes = counts(report.rejected);
  return `${lines}${report.retried} dead letters sent again: ${counts(report.outcomes) || 'nothing to do'}${codes === '' ? '' : ` (${codes})`}${skipped === '' ? '' : `; not sent: ${skipped}`}${report.cancelled ? '; cut off before the end' : ''}\n`;
}

const counts = (figures: Readonly<Record<string, number>>): string =>
  Object.entries(figures)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`)
    .join(', ');
