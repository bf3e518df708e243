export { isCopying, openStore, type StoreOptions } from './lmdb-store.ts';
export { memoryStore, type MemoryStore } from './memory-store.ts';
