/**
 * The raw-data reports that the poller knows, as data: how fresh each is, how long a window it takes, which extra columns it offers, and which
 * measure its rows belong to.
 *
 * The kind of the report decides first: rows of uninstalls, blocked and detected fraud and ad revenue carry theirs in `millrace_kind` and touch no
 * measure of the others. Rows of all others are what Push would have sent. Reports of postbacks and clicks are left out: they would spend calls and
 * count nothing. Source: AppsFlyer's Pull API, raw data.
 */

/** Rows of these reports have measures of their own, or none: `blocked-event` is in the lake alone. */
export type PullKind = 'uninstall' | 'blocked-install' | 'detection' | 'blocked-event' | 'ad-revenue';

export interface PullReport {
  readonly name: PullReportName;
  /** Null: what Push sends, too. */
  readonly kind: PullKind | null;
  /** `daily` reports change once a day: they are asked for once. */
  readonly isDaily: boolean;
  /** One call spans at most so many days. */
  readonly spanDaysMax: number;
  /** A window of a back-fill begins with so many days, and is halved where the answer is cut. Chosen: a month of in-app events can take AppsFlyer hours. */
  readonly backfillDays: number;
  /** Columns to ask for beside the default ones; asking for one that a report lacks is answered 400. */
  readonly additionalFields: readonly string[];
  /** True: rows appear in the past, by event time. Windows are of the time of detection. */
  readonly growsBackwards: boolean;
}

/** The dedupe key needs both wherever Push may have sent the same event. */
const TYPES = ['conversion_type', 'campaign_type'] as const;
/** What Push tells and is a dimension here. */
const DEVICE = ['device_category'] as const;
const BLOCKED = ['blocked_reason', 'blocked_sub_reason', 'blocked_reason_value'] as const;
const DETECTED = ['detection_date', 'fraud_reason', 'fraud_sub_reason'] as const;
/** Without them two rows of one user and day look alike. */
const AD_REVENUE = ['monetization_network', 'ad_unit', 'placement', 'segment'] as const;

const INSTALLS = { kind: null, isDaily: false, spanDaysMax: 60, backfillDays: 15, additionalFields: [...TYPES, ...DEVICE], growsBackwards: false } as const;
/** 31 days by most texts, 30 by one. */
const IN_APP = { ...INSTALLS, spanDaysMax: 30, backfillDays: 7 } as const;
const UNINSTALLS = { ...IN_APP, kind: 'uninstall', isDaily: true, additionalFields: [] } as const;
const ADS = { ...IN_APP, kind: 'ad-revenue', isDaily: true, additionalFields: AD_REVENUE } as const;

export const PULL_REPORT_NAMES = [
  'installs_report',
  'organic_installs_report',
  'in_app_events_report',
  'organic_in_app_events_report',
  'reinstalls',
  'reinstalls_organic',
  'installs-retarget',
  'in-app-events-retarget',
  'uninstall_events_report',
  'organic_uninstall_events_report',
  'ad_revenue_raw',
  'ad_revenue_organic_raw',
  'ad-revenue-raw-retarget',
  'blocked_installs_report',
  'detection',
  'blocked_in_app_events_report',
  'fraud-post-inapps',
] as const;
export type PullReportName = (typeof PULL_REPORT_NAMES)[number];

const FACTS: Readonly<Record<PullReportName, Omit<PullReport, 'name'>>> = {
  installs_report: INSTALLS,
  organic_installs_report: INSTALLS,
  in_app_events_report: IN_APP,
  organic_in_app_events_report: IN_APP,
  reinstalls: INSTALLS,
  // Real time in one text, daily in another: once a day is right for both.
  reinstalls_organic: { ...INSTALLS, isDaily: true },
  'installs-retarget': INSTALLS,
  'in-app-events-retarget': IN_APP,
  uninstall_events_report: UNINSTALLS,
  organic_uninstall_events_report: UNINSTALLS,
  ad_revenue_raw: ADS,
  ad_revenue_organic_raw: ADS,
  'ad-revenue-raw-retarget': ADS,
  blocked_installs_report: { ...INSTALLS, kind: 'blocked-install', additionalFields: BLOCKED },
  detection: { ...INSTALLS, kind: 'detection', additionalFields: DETECTED, growsBackwards: true },
  blocked_in_app_events_report: { ...IN_APP, kind: 'blocked-event', isDaily: true, additionalFields: BLOCKED },
  'fraud-post-inapps': { ...IN_APP, kind: 'blocked-event', isDaily: true, additionalFields: DETECTED, growsBackwards: true },
};

export const reportOf = (name: PullReportName): PullReport => ({ name, ...FACTS[name] });

export const isReportName = (name: string): name is PullReportName => (PULL_REPORT_NAMES as readonly string[]).includes(name);
