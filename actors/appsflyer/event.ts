/**
 * The canonical event: what the pipeline's dimensions, measures and columns read.
 *
 * One instance per decoder, written by decode.ts alone and valid until its next call; its strings may be kept, they hold on to nothing.
 */

import type { TextBytes } from '../../engine/core/pipeline.ts';
import type { Enrichment } from './enrich/enrichment.ts';
import type { FieldTable } from './field-table.ts';
import { type AnyField, Field } from './fields.ts';
import type { Shield } from './privacy/shield.ts';

const CAPITAL_D = 0x44;
const CAPITAL_K = 0x4b;
const CAPITAL_S = 0x53;
const DIGIT_2 = 0x32;

/**
 * What a record reports. The first five count in the metrics of attribution; the others have measures of their own, or none, and
 * touch nothing else.
 */
export type Action =
  | 'install'
  | 'reinstall'
  | 're-engagement'
  | 're-attribution'
  | 'in-app'
  | 'skan-install'
  | 'skan-re-download'
  | 'skan-in-app'
  | 'skan-postback'
  | 'skan-postbacks-copy'
  | 'uninstall'
  | 'blocked-install'
  | 'blocked-event'
  | 'ad-revenue'
  | 's2s-copy'
  | 'test';

export type Attribution = 'organic' | 'ua' | 'retargeting';
export type CampaignIdKind = 'id' | 'name' | 'organic' | 'none';

/** Absent texts are ''. Dimension values have passed `dimensionValue`. */
export class AppsflyerEvent {
  /** The raw fields. */
  readonly fields: FieldTable;
  timeMs = 0;
  action: Action = 'in-app';
  /** AppsFlyer's name of the message type, or `skan-…`, `uninstall`, `blocked-install`, `detection`, `blocked-event`, `ad-revenue`, `s2s-copy`, `s2s-in-app-event`. */
  eventType = '';
  /** It came by the S2S route: a user's server said it, not AppsFlyer. */
  isS2sRecord = false;
  /** A row of a Pull report with measures of its own. */
  isReportRow = false;
  /** False for SKAdNetwork, copies and rows of Pull reports with measures of their own. */
  isAttributed = true;
  /** Attributed, and not the second copy of a doubly attributed event. */
  isPrimary = true;
  /** Attributed, and the second copy. */
  isSecondary = false;
  appId = '';
  /** Of an app that is ruled to be a test: see apps.ts. */
  isTest = false;
  eventName = '';
  campaignId = '';
  campaignIdKind: CampaignIdKind = 'none';
  campaign = '';
  platform = '';
  mediaSource = '';
  country = '';
  device = '';
  attribution: Attribution = 'ua';
  conversionType = '';
  /** Which field names the user; -1 when none does (SKAdNetwork). */
  userField = -1;
  /** In US dollars; 0 when there is none. */
  revenueMicros = 0;
  /** An amount that could be counted was there. */
  isPriced = false;
  /** An amount was there, but none that could be counted in US dollars. */
  isUnpriced = false;
  /** What fills in the columns that the message lacks; null for nothing. */
  enrichment: Enrichment | null = null;
  /** What the lake may show of personal fields; null for all. */
  shield: Shield | null = null;

  constructor(fields: FieldTable) {
    this.fields = fields;
  }

  /** The user's id, whichever kind is there; null for none. Valid until the next call of a function like this. */
  userId(): TextBytes | null {
    return this.userField < 0 ? null : this.fields.range(this.userField as AnyField);
  }

  /** `SDK` or `S2S`, for the lake. */
  eventSource(): string {
    const { fields } = this;
    if (this.isS2sRecord) return 'S2S';
    if (!fields.has(Field.eventSource)) return '';
    const start = fields.startOf(Field.eventSource);
    if (fields.endOf(Field.eventSource) - start === 3) {
      const { bytes } = fields;
      if (bytes[start] === CAPITAL_S && bytes[start + 1] === CAPITAL_D && bytes[start + 2] === CAPITAL_K) return 'SDK';
      if (bytes[start] === CAPITAL_S && bytes[start + 1] === DIGIT_2 && bytes[start + 2] === CAPITAL_S) return 'S2S';
    }
    return fields.text(Field.eventSource);
  }

  /** The event's own parameters: JSON text as the app sent it, which may have been cut. */
  eventValue(): string {
    return this.fields.text(Field.eventValue);
  }
}
