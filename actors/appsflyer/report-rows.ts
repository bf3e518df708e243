/**
 * Rows of Pull reports that have measures of their own: uninstalls, blocked installs and ad revenue. What they carry beyond the fields of a message
 * goes into the lake's `event_properties`, and what tells two rows of one user's ad revenue apart into their identity.
 */

import type { FieldTable } from './field-table.ts';
import { Field, MadeField } from './fields.ts';

/** Of the ad that earned: together they are a part of the identity of such a row, in this order. */
export const PLACEMENT_FIELDS = ['monetization_network', 'mediation_network', 'ad_unit', 'placement', 'segment'] as const;
/** Further ones that are kept. */
export const DETAIL_FIELDS = [
  ...PLACEMENT_FIELDS,
  'impressions',
  'blocked_reason',
  'blocked_sub_reason',
  'blocked_reason_value',
  'rejected_reason',
  'rejected_reason_value',
  'detection_date',
  'fraud_reason',
  'fraud_sub_reason',
] as const;

const PART_LENGTH_MAX = 512;

/** Reads texts by name; '' for none. */
interface TextReader {
  text(name: string): string;
}

/** Makes the texts that no message has under a name of its own. */
export function fillReport(row: TextReader, fields: FieldTable): void {
  const details: Record<string, string> = {};
  for (const name of DETAIL_FIELDS) {
    const text = row.text(name);
    if (text !== '') details[name] = text;
  }
  const value = fields.text(Field.eventValue);
  if (value !== '') details['event_value'] = value;
  fields.reportDetails = JSON.stringify(details);
  const placement = PLACEMENT_FIELDS.map((name) => row.text(name).slice(0, PART_LENGTH_MAX));
  if (placement.some((text) => text !== '')) fields.setMade(MadeField.adPlacement, placement.join('\u001f'));
}
