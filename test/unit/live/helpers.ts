/** Makers for live store tests. */
import type { MergedCell } from '../../../engine/core/cell.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import type { ResultSchema } from '../../../engine/core/pipeline.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../../sinks/live/index.ts';
import type { LiveStoreOptions } from '../../../sinks/live/index.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** 2026-11-22T00:00:00Z */
export const DAY_START_MS = Date.UTC(2026, 10, 22);

export const schema: ResultSchema = {
  dimensions: ['campaign_id', 'app_id', 'country'],
  measures: [
    { name: 'installs', unit: 'count' },
    { name: 'revenue_micros', unit: 'micros' },
  ],
  breakdown: 'by_event',
  labels: ['campaign', 'campaign_id_kind'],
};

export const name = (campaign: string, country = 'DE', app = 'app'): string => [campaign, app, country].join('\u001f');

export const merged = (change: Partial<MergedCell> = {}): MergedCell => ({
  kind: CellKind.hour,
  windowStartMs: DAY_START_MS,
  dimensions: name('c1'),
  records: 1,
  measures: [1, 0],
  breakdown: null,
  labels: [
    { timeMs: 1, text: 'One' },
    { timeMs: 1, text: 'id' },
  ],
  revision: 1,
  final: false,
  updatedAtMs: 1,
  ...change,
});

export const output = (changed: readonly MergedCell[], change: Partial<MergeOutput> = {}): MergeOutput => ({
  changed,
  settledSequences: new Map(),
  finalUpToMs: 0,
  watermarkMs: DAY_START_MS,
  counters: { received: 0, accepted: 0, duplicate: 0, late: 0, rejected: 0 },
  partitions: [],
  ...change,
});

export const IDENTITY = { schema, instance: 'a'.repeat(32), generation: 1_000, partitionCount: 2, retentionDays: 40 };
export const openLive = (store = memoryStore(LIVE_TABLES), change: Partial<LiveStoreOptions> = {}): LiveStore => LiveStore.open({ ...IDENTITY, store, ...change });
