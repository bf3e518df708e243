/** Public names of the live store and its queries. */
export { LIVE_TABLES } from './encode.ts';
export { LiveStore } from './live-store.ts';
export type { LiveStoreOptions } from './live-store.ts';
export { LIVE_LIMITS } from './options.ts';
export type { LiveLimits } from './options.ts';
export type { CellSource } from './source.ts';
export { stateHash } from './state-hash.ts';
