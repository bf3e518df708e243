/** Money that would pass what can be summed exactly: never dropped without being counted, and never counted where it does not belong. */

import { expect, it } from 'vitest';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import type { Rules } from '../../../engine/core/rules.ts';
import { foldAll, newStore, openPartition } from '../partition/harness.ts';
import { LogBuilder } from '../partition/log-builder.ts';
import { generationControl, toyRules } from '../partition/toy-pipeline.ts';
import { PURCHASE, SKAN_INSTALL } from './messages.ts';

const NOON = Date.UTC(2026, 4, 3, 12);
const RULES: Rules = { ...toyRules(), pipelineVersion: pipeline.version, domain: {} };
/** The largest amount that is read, and how many of them a partition's total holds. */
const MILLION = '1000000';
const FITTING = Math.floor(2 ** 53 / 64 / 1e12);
const RECORDS = FITTING + 3;

const SKAN_EVENT = { ...SKAN_INSTALL, event_type: 'in-app-event', event_name: 'af_purchase' };

it.each([
  ['primary records', 'revenue_micros', 'unpriced_events', RecordSource.push, (n: number) => ({ ...PURCHASE, appsflyer_id: `${n}-1`, event_revenue_usd: MILLION })],
  ['the second attribution', 'secondary_revenue_micros', 'left_out_amounts', RecordSource.push, (n: number) => ({ ...PURCHASE, appsflyer_id: `${n}-1`, event_revenue_usd: MILLION, is_primary_attribution: false })],
  ['ad revenue rows', 'ad_revenue_micros', 'left_out_amounts', RecordSource.pull, (n: number) => ({ ...PURCHASE, appsflyer_id: `${n}-1`, event_revenue_usd: MILLION, millrace_kind: 'ad-revenue' })],
  ['SKAdNetwork', 'skan_revenue_micros', 'left_out_amounts', RecordSource.push, (n: number) => ({ ...SKAN_EVENT, event_uuid: `uuid-${n}`, skad_revenue: MILLION })],
])('amounts of %s that no longer fit in %s count in %s', (_, money, counter, source, recordOf) => {
  const log = new LogBuilder();
  log.batch(NOON, [], [generationControl(), { type: 'rules', rules: RULES }]);
  log.batch(NOON, Array.from({ length: RECORDS }, (_record, n) => ({ payload: JSON.stringify(recordOf(n)), source })));
  const partition = openPartition(pipeline, newStore());
  foldAll(partition, log.batches);
  const cells = partition.report('changed').cells;
  expect(cells).toHaveLength(2);
  for (const cell of cells) {
    const measures = Object.fromEntries(pipeline.measures.map(({ name }, index) => [name, cell.measures[index]]));
    expect([CellKind.hour, CellKind.day], `kind ${cell.kind}`).toContain(cell.kind);
    expect(measures).toMatchObject({ [money]: FITTING * 1e12, [counter]: 3 });
    expect((measures['unpriced_events'] as number) + (measures['left_out_amounts'] as number)).toBe(3);
  }
});
