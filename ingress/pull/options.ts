/** Settings of the Pull poller: schema, defaults, units; and what follows from them. The poller is off unless apps are named. */

import { wholeNumber, z } from '../../engine/core/schema.ts';
import { PULL_REPORT_NAMES } from './reports.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Of an app id that can stand in an address. */
const APP_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

export const pullOptionsSchema = z
  .strictObject({
    apps: z.array(z.string().regex(APP_ID, 'must be an app id as AppsFlyer writes it: a package name, or id and digits')).max(1_000).default([]).describe('app ids whose reports are read; without any the poller is off'),
    // A list of names: the environment writes it with commas.
    reports: z.array(z.enum(PULL_REPORT_NAMES)).min(1).default(['installs_report', 'in_app_events_report']).describe('raw-data reports by the names that AppsFlyer gives them in addresses'),
    token: z.string().max(4_000).default('').describe('API V2 token; never logged'),
    token_file: z.string().default('').describe('a file with the token instead, read again at each call'),
    url: z.string().regex(/^https?:\/\/[^/?#@\s]+\/?$/, 'must be https:// and a host').default('https://hq1.appsflyer.com').describe('where the API is'),
    calls_per_day: wholeNumber(1, 100_000).default(10).describe('calls that the plan allows for each report and app in a day of UTC; the time between two polls follows from it'),
    account_calls_per_day: wholeNumber(0, 10_000_000).default(0).describe('the same for each report and all apps together; 0: five times as many'),
    interval_seconds: wholeNumber(0, 86_400).default(0).describe('between two polls of a report that AppsFlyer keeps fresh; 0: from calls_per_day, a quarter kept back for windows that must be halved and for back-fills'),
    overlap_hours: wholeNumber(1, 24 * 30).default(48).describe('how far each poll reads again behind what has been read: rows come late'),
    maximum_rows: z.union([z.literal(1_000_000), z.literal(200_000)]).or(z.enum(['1000000', '200000']).transform(Number)).default(1_000_000).describe('of one answer, 200000 or 1000000: a window with as many is halved and read again'),
    calls_at_once: wholeNumber(1, 16).default(2),
    answer_timeout_seconds: wholeNumber(1, 86_400).default(3_600).describe('from a call to the head of its answer'),
    idle_timeout_seconds: wholeNumber(1, 3_600).default(300).describe('between two pieces of an answer'),
    answer_bytes_max: wholeNumber(MIB, 64 * GIB).default(4 * GIB).describe('of one report; it lies in the data directory while it is read'),
  })
  .superRefine((options, context) => {
    if (options.apps.length === 0) return;
    if (options.token === '' && options.token_file === '') context.addIssue({ code: 'custom', path: ['token'], message: 'must be set where pull.apps names apps, or pull.token_file' });
    if (options.token !== '' && options.token_file !== '') context.addIssue({ code: 'custom', path: ['token_file'], message: 'must not be set beside pull.token' });
    if (/[^\x21-\x7e]/.test(options.token)) context.addIssue({ code: 'custom', path: ['token'], message: 'must be printable ASCII without blanks' });
  });

export type PullOptions = Readonly<z.output<typeof pullOptionsSchema>>;

export const isPullOn = ({ apps }: Pick<PullOptions, 'apps'>): boolean => apps.length > 0;

/** Hours back from now that a poll reads again: the dedupe horizon must be longer. Null while the poller is off. */
export const pullOverlapHours = (options: Pick<PullOptions, 'apps' | 'overlap_hours'>): number | null => (isPullOn(options) ? options.overlap_hours : null);
