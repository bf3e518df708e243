/** The WebAssembly of assembly/: what it exports, typed. One instance per scanner. */

import { wasmModule, type WasmConstant, type WasmInstance } from '../../../engine/core/wasm.ts';
import { SCAN_WASM } from './scan-wasm.ts';

interface ScanExports {
  readonly FIELDS_MAX: WasmConstant;
  readonly STARTS: WasmConstant;
  readonly ENDS: WasmConstant;
  readonly PLACES: WasmConstant;
  readonly REPEATING: WasmConstant;
  readonly SLOTS: WasmConstant;
  readonly LENGTHS: WasmConstant;
  readonly NAMES: WasmConstant;
  readonly NAME_BYTES_MAX: WasmConstant;
  readonly FINGERPRINT: WasmConstant;
  readonly RECIPES: WasmConstant;
  readonly RECIPE_USER: WasmConstant;
  readonly RECIPE_NUMBER: WasmConstant;
  readonly RECIPE_TRUTH: WasmConstant;
  readonly PREFIX: WasmConstant;
  readonly PREFIX_BYTES_MAX: WasmConstant;
  readonly KEPT_COUNT: WasmConstant;
  readonly NOT_KEPT: WasmConstant;
  readonly RECORD: WasmConstant;
  readonly RECORD_BYTES_MAX: WasmConstant;
  readonly SIDE: WasmConstant;
  readonly IDENTITY: WasmConstant;
  readonly MEMORY_BYTES: WasmConstant;
  setMultiplier(value: number): void;
  setRepeatingCount(count: number): void;
  setShortName(name: number, field: number): void;
  slotOfName(length: number, multiplier: number): number;
  scan(length: number): number;
  isJson(start: number, end: number): number;
  keep(field: number): number;
  identity(recipe: number, count: number, prefixBytes: number, user: number, number: number, isTrue: number): number;
}

export type ScanModule = WasmInstance<ScanExports>;

const MEMORY_BYTES = 4 * 1024 * 1024;
export const newScanModule = wasmModule<ScanExports>(SCAN_WASM, MEMORY_BYTES);
