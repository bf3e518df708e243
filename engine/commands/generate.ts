/** `millrace generate`: faithful AppsFlyer messages from a seed, sent at a rate, with the totals that must come out. */

import { createGenerator, ExpectedTotals } from '../../actors/appsflyer/generate/index.ts';
import { EngineError } from '../core/errors.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { startProgress } from './progress.ts';
import { Sender } from './sender.ts';
import { ingestCredential, ingestUrl, loadSettings } from './settings.ts';

export interface GenerateOptions {
  readonly config?: string;
  readonly url?: string;
  readonly rate: number;
  readonly count?: number;
  readonly seed: number;
  readonly start?: string;
  readonly expect: boolean;
  readonly dryRun: boolean;
  readonly garbage: number;
  readonly batch: number;
}

const IN_FLIGHT_MAX = 64;
/** The pace is kept in steps this long. */
const PACE_MS = 10;
const PROGRESS_MS = 250;

export async function generate(options: GenerateOptions): Promise<number> {
  const startMs = options.start === undefined ? Date.now() : Date.parse(options.start);
  if (!Number.isFinite(startMs)) throw new EngineError('CONFIG_INVALID', `--start ${options.start}: write a time such as 2026-11-22T10:00:00Z`);
  if (!(options.garbage >= 0 && options.garbage <= 1)) throw new EngineError('CONFIG_INVALID', `--garbage ${options.garbage}: give a share from 0 to 1`);
  const generator = createGenerator({ seed: options.seed, ratePerMinute: options.rate, startMs, garbageShare: options.garbage, followsClock: options.start === undefined });
  const expected = new ExpectedTotals();
  const count = options.count ?? Infinity;
  if (options.dryRun) {
    for (let made = 0; made < count; made++) {
      const message = generator.next(Date.now());
      expected.add(message);
      if (!options.expect && !process.stdout.write(`${message.body}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
  } else await sendAll(options, count, generator, expected);
  if (options.expect) process.stdout.write(`${JSON.stringify(expected.summarise(), null, 2)}\n`);
  return exitCodes.ok;
}

async function sendAll(options: GenerateOptions, count: number, generator: ReturnType<typeof createGenerator>, expected: ExpectedTotals): Promise<void> {
  const abort = new AbortController();
  const interrupt = (): void => {
    abort.abort();
  };
  process.once('SIGINT', interrupt);
  const settings = loadSettings(options);
  const sender = new Sender({ url: ingestUrl(settings, options.url), headers: ingestCredential(settings), inFlightMax: IN_FLIGHT_MAX, batch: options.batch, signal: abort.signal });
  const progress = startProgress('sending', Number.isFinite(count) ? count : 0);
  const startedMs = performance.now();
  let shownMs = 0;
  let made = 0;
  try {
    while (made < count && !abort.signal.aborted) {
      const elapsedMs = performance.now() - startedMs;
      const due = Math.min(count, Math.ceil((elapsedMs / 60_000) * options.rate));
      while (made < due && !abort.signal.aborted) {
        const message = generator.next(Date.now());
        expected.add(message);
        made++;
        await sender.send(message);
      }
      if (elapsedMs - shownMs > PROGRESS_MS) {
        shownMs = elapsedMs;
        progress.update(made, note(sender, made, elapsedMs));
      }
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
    await sender.finish();
  } finally {
    process.removeListener('SIGINT', interrupt);
    progress.update(made, note(sender, made, performance.now() - startedMs));
    progress.stop();
  }
  process.stderr.write(`${sender.acknowledged} acknowledged (${sender.refused} of them as malformed), ${sender.resent} sent again\n`);
}

function note(sender: Sender, made: number, elapsedMs: number): string {
  const problem = sender.lastProblem === '' ? '' : `, ${sender.resent} sent again (${sender.lastProblem})`;
  return `${Math.round((made / Math.max(1, elapsedMs)) * 60_000)} a minute, ${sender.acknowledged} acknowledged${problem}`;
}
