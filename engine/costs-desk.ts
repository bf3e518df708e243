/**
 * Wiring of `PUT /v1/costs` on the main thread: a report is read and judged, kept in the live store, flushed, and then answered.
 *
 * A report is taken whole or not at all: one that lost its bad lines would be a day with too little spend that nobody sees. Every bad line is
 * told, so that one mending suffices. Faults of the disk are 503: what was sent may be sent again, for it states amounts and adds none.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { CostReportError, isCurrency, readCosts, type CostReport } from '../actors/costs/index.ts';
import type { CostOutcome, CostReplace, CostStore, DateFull } from '../sinks/live/index.ts';
import type { Clock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import type { CostsAnswered, CostsSent } from './threads/messages.ts';

export interface CostsDeskOptions {
  readonly store: Pick<CostStore, 'put' | 'datesKept'>;
  readonly linesMax: number;
  readonly clock: Clock;
  /** Told of what is no sender's fault. */
  readonly onFault: (error: unknown) => void;
}

/** Bad lines listed in one answer; all are counted. As for /v1/events. */
const REJECTED_LISTED_MAX = 1_000;
const RETRY_AFTER_SECONDS = 10;
const NAME_LENGTH_MAX = 200;

interface Parameters {
  readonly replace: CostReplace;
  readonly appId: string | null;
  readonly currency: string | null;
}

export class CostsDesk {
  readonly #options: CostsDeskOptions;

  constructor(options: CostsDeskOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async take({ body, format, query }: CostsSent): Promise<CostsAnswered> {
    const { store, clock, linesMax, onFault } = this.#options;
    try {
      const parameters = parametersOf(query);
      if (typeof parameters === 'string') return refusal(400, 'BAD_PARAMETER', parameters);
      const { replace, appId, currency } = parameters;
      const report = await readCosts(body, format, { dates: store.datesKept(clock.nowMs()), defaults: { appId, currency }, moreDecimals: 'refuse', linesMax, pause: () => turn() });
      if (report.rejected.length > 0) return rejection(report);
      const outcome = await store.put(report.rows, replace, clock.nowMs());
      return 'full' in outcome ? fullDate(outcome) : success(report, outcome);
    } catch (error) {
      if (error instanceof CostReportError) return refusal(error.code === 'TOO_MANY_ROWS' ? 413 : 400, error.code, error.message);
      onFault(error);
      const code = error instanceof EngineError ? error.code : 'INTERNAL';
      return { ...refusal(503, code, 'the rows could not be made durable: send them again'), retryAfterSeconds: RETRY_AFTER_SECONDS };
    }
  }
}

/** What is wrong with them, as text. */
function parametersOf(query: string): Parameters | string {
  const given = new URLSearchParams(query);
  for (const [name, value] of given) {
    if (!['replace', 'app_id', 'currency'].includes(name)) return `${name.slice(0, NAME_LENGTH_MAX)}: no such parameter: use replace, app_id or currency`;
    if (given.getAll(name).length > 1) return `${name}: it is given more than once`;
    if (value === '' || value.length > NAME_LENGTH_MAX) return `${name}: it is empty or too long`;
  }
  const replace = given.get('replace') ?? 'name';
  if (replace !== 'name' && replace !== 'day') return 'replace: use name (each row replaces the one of its name) or day (the rows replace all of their date, app and media source)';
  const currency = given.get('currency');
  if (currency !== null && !isCurrency(currency)) return 'currency: use three letters (ISO 4217)';
  return { replace, appId: given.get('app_id'), currency };
}

function success({ received, rows }: CostReport, outcome: CostOutcome): CostsAnswered {
  return { status: 200, code: '', body: JSON.stringify({ received, accepted: received, rows: rows.length, ...outcome, rejected: [], rejected_count: 0 }), retryAfterSeconds: 0 };
}

function rejection({ received, rejected }: CostReport): CostsAnswered {
  const code = 'ROWS_REJECTED';
  const message = `${rejected.length} of ${received} rows cannot be taken; none was`;
  const body = { error: { code, message }, received, accepted: 0, rejected: rejected.slice(0, REJECTED_LISTED_MAX), rejected_count: rejected.length };
  return { status: 400, code, body: JSON.stringify(body), retryAfterSeconds: 0 };
}

const fullDate = ({ full }: DateFull): CostsAnswered => refusal(413, 'DATE_FULL', `${full} would have more rows than costs.rows_per_date_max; none was taken: state spend by campaign and country, or raise it`);

const refusal = (status: 400 | 413 | 503, code: string, message: string): CostsAnswered => ({ status, code, body: JSON.stringify({ error: { code, message } }), retryAfterSeconds: 0 });
