/** Public names of the kept spend and its query. */
export { queryCosts } from './answer.ts';
export { CostStore, type CostOutcome, type CostReplace, type CostStoreOptions, type DateFull } from './cost-store.ts';
export { costsQuerySchema } from './parameters.ts';
