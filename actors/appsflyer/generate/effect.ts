/** What a message must come out as, known from how it was made: the ground for expected totals. Pure data. */

import type { RejectCode } from '../../../engine/core/record.ts';

/** Measures of which one message adds something; the names are the pipeline's. */
export type EffectMeasure =
  | 'installs'
  | 'reinstalls'
  | 're_engagements'
  | 're_attributions'
  | 'events'
  | 'conversions'
  | 'revenue_micros'
  | 'unpriced_events'
  | 'secondary_conversions'
  | 'secondary_revenue_micros'
  | 'skan_installs'
  | 'skan_redownloads'
  | 'skan_events'
  | 'skan_postbacks'
  | 'skan_revenue_micros';

export type Effect =
  | {
      /** Accepted or late, as the watermark has it: it counts in its hour either way. */
      readonly verdict: 'counted';
      readonly timeMs: number;
      readonly campaignId: string;
      readonly country: string;
      readonly measures: Readonly<Partial<Record<EffectMeasure, number>>>;
      /** The conversion's name for the breakdown; null for none. */
      readonly conversion: string | null;
    }
  | { readonly verdict: 'duplicate' }
  | { readonly verdict: 'rejected'; readonly code: RejectCode };

/** The default of `metrics.conversion_events`, as the specification lists it. */
export const CONVERSION_EVENTS: ReadonlySet<string> = new Set(['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration']);
