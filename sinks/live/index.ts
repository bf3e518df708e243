/** Public names of the live store and its queries. */
export { queryMetrics } from './answer.ts';
export type { MetricsAnswer, MetricsOptions } from './answer.ts';
export { LIVE_TABLES } from './encode.ts';
export { hasIdentity, writeIdentity } from './identity.ts';
export type { LiveIdentity } from './identity.ts';
export { LiveStore } from './live-store.ts';
export type { LiveStoreOptions } from './live-store.ts';
export { LIVE_LIMITS } from './options.ts';
export type { LiveLimits } from './options.ts';
export { metricsQuerySchema, parseMetricsQuery } from './query-parameters.ts';
export type { MetricsKind, MetricsQuery, RawParameters } from './query-parameters.ts';
export { runQuery } from './query.ts';
export { liveSnapshot } from './snapshot.ts';
export type { LiveSnapshot } from './snapshot.ts';
export type { CellSource } from './source.ts';
export { stateHash } from './state-hash.ts';
export { CostStore, costsQuerySchema, queryCosts } from './costs/index.ts';
export type { CostOutcome, CostReplace, CostStoreOptions, DateFull } from './costs/index.ts';
