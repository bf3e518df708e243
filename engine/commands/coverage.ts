/** `millrace coverage`: asks the running daemon which fields its last messages lacked, and says which figures suffer. */

import type { AppCoverage, FieldFinding } from '../../actors/appsflyer/coverage.ts';
import type { CoverageAnswer } from '../admin-coverage.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { fetchJson } from './admin-client.ts';
import { adminUrl, loadSettings } from './settings.ts';

export interface CoverageOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly app?: string;
  readonly records: number;
  readonly json: boolean;
}

/** Fewer records of an app may lack a field by chance. Chosen. */
const ENOUGH_RECORDS = 50;

export async function coverage(options: CoverageOptions): Promise<number> {
  const query = new URLSearchParams({ records: String(options.records), ...(options.app === undefined ? {} : { app_id: options.app }) });
  const answer = await fetchJson<CoverageAnswer>(`${adminUrl(loadSettings(options), options.admin)}/v1/coverage?${query.toString()}`);
  process.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${[...lines(answer)].join('\n')}\n`);
  return exitCodes.ok;
}

function* lines({ sampled, unreadable, apps }: CoverageAnswer): Generator<string> {
  yield `the last ${sampled} records${unreadable === 0 ? '' : `, of which ${unreadable} are no JSON`}`;
  if (apps.length === 0) yield 'no message was found: send some, or ask for more with --records';
  for (const app of apps) yield* linesOf(app);
}

function* linesOf(app: AppCoverage): Generator<string> {
  const { records, missing, seen, without_user: withoutUser, skadnetwork_records: skan } = app;
  yield '';
  yield `${app.app_id === '' ? '(no app_id)' : app.app_id}: ${records} records${skan === 0 ? '' : `, ${skan} of SKAdNetwork`}${records < ENOUGH_RECORDS ? '; too few to be sure' : ''}`;
  if (withoutUser > 0) yield `  ${withoutUser} have no user or device id: they are rejected`;
  for (const finding of missing) yield* missingLines(finding);
  const rare = seen.filter((finding) => finding.seen < finding.of);
  if (rare.length > 0) yield `  in some: ${rare.map((finding) => `${finding.field} ${Math.floor((100 * finding.seen) / finding.of)} %`).join(', ')}`;
  if (missing.length === 0 && withoutUser === 0) yield '  nothing that figures depend on is missing';
}

function* missingLines({ field, of, figures, effect }: FieldFinding): Generator<string> {
  yield `  ${field} is in none of ${of}: ${effect}`;
  if (figures.length > 0) yield `    figures: ${figures.join(', ')}`;
}
