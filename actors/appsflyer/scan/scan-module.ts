/** The WebAssembly of assembly/scan.ts with a memory of its own: what it exports, typed. One per scanner; 5 MB of addresses, of which the touched ones are in memory. */

import { SCAN_WASM } from './scan-wasm.ts';

interface Constant {
  readonly value: number;
}

interface ScanExports {
  readonly FIELDS_MAX: Constant;
  readonly STARTS: Constant;
  readonly ENDS: Constant;
  readonly PLACES: Constant;
  readonly REPEATING: Constant;
  readonly SLOTS: Constant;
  readonly LENGTHS: Constant;
  readonly NAMES: Constant;
  readonly NAME_BYTES_MAX: Constant;
  readonly FINGERPRINT: Constant;
  readonly RECIPES: Constant;
  readonly RECIPE_USER: Constant;
  readonly RECIPE_NUMBER: Constant;
  readonly RECIPE_TRUTH: Constant;
  readonly PREFIX: Constant;
  readonly PREFIX_BYTES_MAX: Constant;
  readonly KEPT_COUNT: Constant;
  readonly NOT_KEPT: Constant;
  readonly RECORD: Constant;
  readonly RECORD_BYTES_MAX: Constant;
  readonly SIDE: Constant;
  readonly IDENTITY: Constant;
  readonly MEMORY_BYTES: Constant;
  setMultiplier(value: number): void;
  setRepeatingCount(count: number): void;
  slotOfName(length: number, multiplier: number): number;
  scan(length: number): number;
  keep(field: number): number;
  identity(recipe: number, count: number, prefixBytes: number, user: number, number: number, isTrue: number): number;
}

export interface ScanModule {
  readonly exports: ScanExports;
  /** All of it. */
  readonly memory: Buffer;
  readonly words: Int32Array;
}

/** What is used of it: TypeScript knows WebAssembly as a part of browsers alone. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: { readonly env: { readonly memory: object } }) => { readonly exports: unknown };
}
const { Module, Memory, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;

const PAGE_BYTES = 65_536;
/** Enough for its memory, which its own constant tells only once it is there. */
const PAGES = 64;
const compiled = new Module(Buffer.from(SCAN_WASM, 'base64'));

export function newScanModule(): ScanModule {
  const memory = new Memory({ initial: PAGES, maximum: PAGES });
  const exports = new Instance(compiled, { env: { memory } }).exports as ScanExports;
  if (exports.MEMORY_BYTES.value > PAGES * PAGE_BYTES) throw new Error(`bug: the scanner needs ${exports.MEMORY_BYTES.value} bytes`);
  return { exports, memory: Buffer.from(memory.buffer), words: new Int32Array(memory.buffer) };
}
