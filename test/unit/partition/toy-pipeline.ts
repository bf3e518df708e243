/** A small pipeline of another domain: the engine must not mind. Records: `{"t":ms,"id":"…","shop":"…","city":"…","paid":1,"kind":"…","name":"…"}`. */
import { NO_VARIANT, withVariant } from '../../../engine/core/dedupe-key.ts';
import { hash128Text } from '../../../engine/core/hash.ts';
import type { PipelineDefinition } from '../../../engine/core/pipeline.ts';
import type { RejectCode } from '../../../engine/core/record.ts';
import type { ControlRecord, Rules } from '../../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';

export interface Sale {
  readonly t: number;
  readonly id?: string;
  readonly shop: string;
  readonly city: string;
  readonly paid: number;
  readonly kind?: string;
  readonly name?: string;
  /** Of the id; null for any. */
  readonly variant?: number | null;
}

export interface SaleRules {
  readonly kinds: readonly string[];
}

const meaning = { title: '', formula: '', sourceFields: [] };

export const toyPipeline: PipelineDefinition<Sale, SaleRules> = {
  name: 'toy',
  version: 1,
  partitionKey: { scope: 'shop', users: ['id'], isPlaceholder: () => false },
  windows: [
    { kind: 'hour', sizeMs: MS_PER_HOUR, judged: true },
    { kind: 'day', sizeMs: MS_PER_DAY, judged: false },
  ],
  dimensions: [
    { name: 'shop', of: (sale) => sale.shop, valuesMax: 1_000, meaning },
    { name: 'city', of: (sale) => sale.city, valuesMax: 1_000, meaning },
  ],
  measures: [
    { name: 'sales', unit: 'count', amount: () => 1, meaning },
    { name: 'paid_micros', unit: 'micros', amount: (sale) => sale.paid, overflowMeasure: 'unpriced', meaning },
    { name: 'unpriced', unit: 'count', amount: () => 0, meaning },
  ],
  breakdown: { name: 'by_kind', nameOf: (sale, rules) => (sale.kind !== undefined && rules.kinds.includes(sale.kind) ? sale.kind : null), meaning },
  labels: [{ name: 'shop_name', of: (sale) => sale.name ?? '', meaning }],
  lakeColumns: [],
  domainRules: (raw) => raw as SaleRules,
  decode(bytes, start, end): Sale | RejectCode {
    try {
      const sale = JSON.parse(bytes.toString('utf8', start, end)) as Sale;
      return typeof sale.t === 'number' ? sale : 'BAD_EVENT_TIME';
    } catch {
      return 'NOT_JSON';
    }
  },
  eventTimeMs: (sale) => sale.t,
  dedupeKey(sale, _mode, out) {
    if (sale.id === undefined) return false;
    hash128Text(sale.id, out);
    out[3] = withVariant(out[3] as number, sale.variant === null ? NO_VARIANT : (sale.variant ?? 0));
    return true;
  },
  formerFingerprint(sale, _mode, attempt, out) {
    if (sale.id === undefined || attempt > 0) return false;
    hash128Text(`${sale.id} before`, out);
    out[3] = withVariant(out[3] as number, 0);
    return true;
  },
  fingerprint(sale, mode, out) {
    if (sale.id === undefined) return false;
    hash128Text(mode === 'push+pull-seconds' ? `${sale.id}:s` : sale.id, out);
    return true;
  },
  describe: (sale) => ({ shop: sale.shop }),
};

export const INSTANCE = '0123456789abcdef0123456789abcdef';

export const toyRules = (changes: Partial<Rules> = {}): Rules => ({
  pipelineVersion: 1,
  allowedLatenessMs: 5 * MS_PER_MINUTE,
  futureSkewMs: 5 * MS_PER_MINUTE,
  idleAfterMs: MS_PER_MINUTE,
  dedupe: 'push-ms',
  dedupeHorizonMs: 24 * MS_PER_HOUR,
  cellRetentionMs: 2 * MS_PER_DAY,
  dimensionLimits: {},
  cellsPerDayMax: 10_000,
  slotMs: 15 * MS_PER_MINUTE,
  slotBytesMax: 2 ** 32,
  domain: { kinds: ['buy', 'rent'] },
  ...changes,
});

export const generationControl = (partitionCount = 1): ControlRecord => ({ type: 'generation', generation: 1, instance: INSTANCE, partitionCount });
export const rulesControl = (changes: Partial<Rules> = {}): ControlRecord => ({ type: 'rules', rules: toyRules(changes) });
