/**
 * How far a heap may outgrow what lived in it before its next full collection. V8 by itself goes up to 300 % on a large machine.
 *
 * Small heaps may double: a collection more costs CPU, and the bytes are not missed. Large ones may not, for the process has a budget. Measured: README.md.
 * One flag for the whole process, which V8 looks at after each collection. Main thread.
 */

import { setFlagsFromString } from 'node:v8';

const MIB = 1024 ** 2;
/** Per cent. Chosen; 30 bounds what memory.ts measures, see README.md. */
export const HeapGrowth = { small: 100, large: 30 } as const;
export type HeapGrowth = (typeof HeapGrowth)[keyof typeof HeapGrowth];

/** Of all heaps together, buffers outside included. Chosen: doubled they stay far below the budget of 1.2 GiB; apart, so that the flag does not swing. */
const LARGE_FROM_BYTES = 512 * MIB;
const SMALL_UP_TO_BYTES = 384 * MIB;

export function heapGrowthFor(heapsBytes: number, current: HeapGrowth): HeapGrowth {
  if (heapsBytes >= LARGE_FROM_BYTES) return HeapGrowth.large;
  return heapsBytes <= SMALL_UP_TO_BYTES ? HeapGrowth.small : current;
}

let inForce: HeapGrowth | null = null;

/** `heapsBytes`: of all threads together; Infinity while nobody knows. */
export function limitHeapGrowth(heapsBytes: number): void {
  const growth = heapGrowthFor(heapsBytes, inForce ?? HeapGrowth.large);
  if (growth === inForce) return;
  inForce = growth;
  setFlagsFromString(`--heap-growing-percent=${growth}`);
}

/** Before the first thread starts: as for large heaps, until somebody has counted them. */
export function limitHeapGrowthAtFirst(): void {
  if (inForce === null) limitHeapGrowth(Infinity);
}
