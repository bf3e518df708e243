import { describe, expect, it } from 'vitest';
import { judgeAnswer, shownText, type AnswerVerdict } from '../../../ingress/pull/answers.ts';

/** Status, what AppsFlyer says, and what it means: every row of what is known. */
const ROWS: readonly (readonly [number, string, AnswerVerdict['type']])[] = [
  [200, '', 'rows'],
  [400, 'Your API calls limit has been reached for report type', 'quota'],
  [400, 'Your API call(s) limit has been reached for the given report type', 'quota'],
  [400, '{"error":"Your API calls limit has been reached for the given report type"}', 'quota'],
  [400, 'Your current subscription package does not include raw data reports', 'plan'],
  [400, "Your current subscription package doesn't include raw data reports", 'plan'],
  [400, 'Your current subscription package doesn\u2019t include raw data reports', 'plan'],
  [400, '{"message":"Your current subscription package doesn\\u2019t include raw data reports"}', 'plan'],
  [400, "This app isn't supported for this report type", 'plan'],
  [400, 'Raw reports historical lookback is limited to 90 days', 'lookback'],
  [400, 'Invalid limit type/value', 'rows-limit'],
  [400, 'Invalid limit type', 'rows-limit'],
  [400, 'Unknown additional field', 'bad-request'],
  [401, 'Supplied API token is invalid', 'token'],
  [401, 'Account may be suspended', 'token'],
  [403, 'Limit reached for daily_report', 'wait'],
  [403, 'Your current subscription package does not include this report', 'plan'],
  [403, 'Forbidden', 'refused'],
  [404, '<!DOCTYPE html><html><body>404</body></html>', 'not-found'],
  [402, '', 'retry'],
  [410, '', 'retry'],
  [416, '', 'retry'],
  [429, '', 'retry'],
  [500, '', 'retry'],
  [502, '<html>Bad Gateway</html>', 'retry'],
  [503, '', 'retry'],
  [504, '', 'retry'],
  [418, '', 'bad-request'],
];

describe('an answer', () => {
  it.each(ROWS)('of %i "%s" means %s', (status, text, type) => {
    expect(judgeAnswer(status, text, undefined).type).toBe(type);
  });

  it('asks to wait a minute, or for as long as it says', () => {
    expect(judgeAnswer(403, 'Limit reached for x', undefined)).toEqual({ type: 'wait', waitMs: 60_000 });
    expect(judgeAnswer(429, '', '120')).toEqual({ type: 'retry', retryAfterMs: 120_000 });
    expect(judgeAnswer(429, '', 'Sun, 29 Nov 2026 10:00:00 GMT')).toEqual({ type: 'retry', retryAfterMs: 0 });
  });

  it('is shown on one line, without markup and what no terminal shows', () => {
    expect(shownText('<html><style>p{}</style><p>Not\u001b[31m found</p>\n<script>x()</script></html>')).toBe('Not [31m found');
    expect(shownText('x'.repeat(1_000)).length).toBe(300);
  });
});
