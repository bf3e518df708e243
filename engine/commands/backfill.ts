/** `millrace backfill`: asks the running daemon to read days of Pull reports again, and shows how far it is; or prints what that would ask for. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPullOn, planBackfill, PullState, windowTime, type PlannedBackfill } from '../../ingress/pull/index.ts';
import type { BackfillLine } from '../admin-backfill.ts';
import { systemClock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { PULL_STATE_FILE } from '../runtime/savepoint.ts';
import type { Settings } from '../settings.ts';
import { postForLines } from './admin-client.ts';
import { startProgress } from './progress.ts';
import { adminUrl, loadSettings } from './settings.ts';

export interface BackfillOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly from: string;
  readonly to?: string;
  readonly app?: string;
  readonly report?: string;
  readonly dryRun: boolean;
}

export async function backfill(options: BackfillOptions): Promise<number> {
  const settings = loadSettings(options);
  if (!isPullOn(settings.pull)) throw new EngineError('CONFIG_INVALID', 'pull.apps is empty: the Pull poller is off: name the apps and set pull.token');
  const nowMs = systemClock.nowMs();
  const fromMs = timeOf('--from', options.from);
  const toMs = options.to === undefined ? nowMs : timeOf('--to', options.to);
  const request = { apps: items(options.app), reports: items(options.report), fromMs, toMs };
  const planned = planBackfill(request, settings.pull, callsSoFar(settings), nowMs);
  if (options.dryRun) {
    process.stdout.write(`${[...describe(planned)].join('\n')}\n`);
    return exitCodes.ok;
  }
  const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
  if (options.app !== undefined) query.set('app', options.app);
  if (options.report !== undefined) query.set('report', options.report);
  const last = await follow(`${adminUrl(settings, options.admin)}/v1/backfills?${query.toString()}`);
  const { rows, known, skipped, malformed } = last;
  process.stdout.write(`${rows} rows read in, ${known} were in the lake already, ${malformed} malformed, ${skipped} left out\n`);
  if (skipped > 0) process.stdout.write('warning: rows from before dedupe.mode was push+pull-seconds cannot be told from those that came by Push and were left out\n');
  return exitCodes.ok;
}

async function follow(url: string): Promise<BackfillLine> {
  let last: BackfillLine | null = null;
  let progress: ReturnType<typeof startProgress> | null = null;
  let told = '';
  try {
    for await (const line of postForLines<BackfillLine>(url)) {
      last = line;
      // Halved windows add to the total: the bar is begun anew then.
      const total = line.windows_done + line.windows_pending;
      progress ??= startProgress('windows', total);
      progress.update(line.windows_done, `of ${total}, ${line.rows} rows${line.waits.length === 0 ? '' : `, waiting: ${line.waits[0]}`}`);
      const waits = line.waits.join('\n');
      if (waits !== told && waits !== '') process.stderr.write(`waiting: ${waits}\n`);
      told = waits;
    }
  } finally {
    progress?.stop();
  }
  if (last === null || last.windows_pending > 0) throw new EngineError('NOT_READY', 'the daemon ended before the back-fill did', { fix: 'it goes on by itself once the daemon runs; the same command shows how far it is' });
  return last;
}

/** Calls that were counted, as the daemon's file tells; none where there is no such file. */
function callsSoFar(settings: Settings): PullState['jobs'] {
  const file = join(settings.data_dir, PULL_STATE_FILE);
  return PullState.open({ read: () => (existsSync(file) ? readFileSync(file, 'utf8') : null), write: () => undefined }).jobs;
}

function* describe(planned: readonly PlannedBackfill[]): Generator<string> {
  for (const { app, report, windows, callsPerDay, callsLeft, days } of planned) {
    yield `${report} of ${app}: ${windows.length} calls; ${callsLeft} of the ${callsPerDay} of today may be spent on it, ${days === 1 ? 'all of it today' : `${days} days in all`}`;
    for (const { fromMs, toMs } of windows) yield `  ${windowTime(fromMs)} to ${windowTime(toMs)}`;
  }
  yield `${planned.reduce((sum, { windows }) => sum + windows.length, 0)} calls in all; a window whose answer is cut is halved and takes more`;
}

const items = (text: string | undefined): string[] => (text ?? '').split(',').map((item) => item.trim()).filter((item) => item !== '');

function timeOf(option: string, text: string): number {
  const time = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  if (!Number.isFinite(time)) throw new EngineError('CONFIG_INVALID', `${option} ${text}: use an ISO time such as 2026-11-01 or 2026-11-01T10:00Z`);
  return time;
}
