/**
 * What an answer of AppsFlyer means and what follows from it: facts in, named decision out.
 *
 * The texts come as plain text or within JSON, with straight or curly apostrophes; a status alone does not tell: 400 is also what a spent quota says.
 */

/** Bytes of an answer's body that are looked at. */
export const ANSWER_TEXT_BYTES_MAX = 4_096;

export type AnswerVerdict =
  /** The body is the report. */
  | { readonly type: 'rows' }
  /** The calls of the day are spent: nothing until next 00:00 UTC. */
  | { readonly type: 'quota' }
  /** The plan does not have this report: do not ask again. */
  | { readonly type: 'plan' }
  /** The window begins before what is kept. */
  | { readonly type: 'lookback' }
  /** `maximum_rows` is none of the two values that are taken. */
  | { readonly type: 'rows-limit' }
  /** The token is refused: no call will succeed with it. */
  | { readonly type: 'token' }
  /** Too many at once: again after so long. */
  | { readonly type: 'wait'; readonly waitMs: number }
  /** The account lets this address or this call not in. */
  | { readonly type: 'refused' }
  /** No such app for this token. */
  | { readonly type: 'not-found' }
  /** May pass by itself. */
  | { readonly type: 'retry'; readonly retryAfterMs: number }
  /** Something about the call is wrong that the poller cannot mend. */
  | { readonly type: 'bad-request' };

const LIMIT_WAIT_MS = 60_000;
const MS_PER_SECOND = 1_000;

const QUOTA = /call\(?s?\)? limit has been reached/;
const PLAN = /subscription package (does not|doesn't) include|(isn't|is not) supported for this report type/;
const LOOKBACK = /lookback is limited/;
const ROWS_LIMIT = /invalid limit/;
const LIMIT_REACHED = /limit reached for/;

/** `text`: the beginning of the body. `retryAfter`: the header, should there be one. */
export function judgeAnswer(status: number, text: string, retryAfter: string | undefined): AnswerVerdict {
  const said = text.toLowerCase().replace(/[\u2018\u2019]|\\u2019|&#39;/g, "'");
  switch (status) {
    case 200:
      return { type: 'rows' };
    case 400:
      if (QUOTA.test(said)) return { type: 'quota' };
      if (PLAN.test(said)) return { type: 'plan' };
      if (LOOKBACK.test(said)) return { type: 'lookback' };
      return { type: ROWS_LIMIT.test(said) ? 'rows-limit' : 'bad-request' };
    case 401:
      return { type: 'token' };
    case 403:
      if (LIMIT_REACHED.test(said)) return { type: 'wait', waitMs: LIMIT_WAIT_MS };
      if (QUOTA.test(said)) return { type: 'quota' };
      return { type: PLAN.test(said) ? 'plan' : 'refused' };
    case 404:
      return { type: 'not-found' };
    case 402:
    case 408:
    case 410:
    case 416:
    case 425:
    case 429:
      return { type: 'retry', retryAfterMs: secondsOf(retryAfter) };
    default:
      return status >= 500 ? { type: 'retry', retryAfterMs: secondsOf(retryAfter) } : { type: 'bad-request' };
  }
}

function secondsOf(header: string | undefined): number {
  return header !== undefined && /^\d{1,5}$/.test(header) ? Number(header) * MS_PER_SECOND : 0;
}

/** What an answer says, fit to be shown: one line, without markup. */
export const shownText = (text: string): string =>
  text
    .replace(/<(style|script)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300);
