/** The door to WebAssembly: modules that the sources carry as text, each instance with a memory of its own. */

import { EngineError, messageOf } from './errors.ts';

/** What is used of it: TypeScript knows WebAssembly as a part of browsers alone. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: { readonly env: { readonly memory: object } }) => { readonly exports: unknown };
}
const api = (globalThis as unknown as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;

/** A constant that a module exports. */
export interface WasmConstant {
  readonly value: number;
}

export interface WasmInstance<Exports> {
  readonly exports: Exports;
  /** All of its memory, as bytes and as words; it does not grow. */
  readonly memory: Buffer;
  readonly words: Int32Array;
}

const PAGE_BYTES = 65_536;

/**
 * Compiles `base64` once and returns what makes instances of it. `bytes`: of the memory that each gets; pages that nobody touches cost addresses alone,
 * but about 10 GiB of these (measured: V8 guards each memory with what a 32-bit address could reach). Raises OUT_OF_RESOURCES.
 */
export function wasmModule<Exports extends { readonly MEMORY_BYTES: WasmConstant }>(base64: string, bytes: number): () => WasmInstance<Exports> {
  if (api === undefined) throw new EngineError('OUT_OF_RESOURCES', 'this Node runs without WebAssembly', { fix: 'start it without --jitless' });
  const { Module, Instance } = api;
  const compiled = new Module(Buffer.from(base64, 'base64'));
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return () => {
    const memory = newMemory(api, pages);
    const exports = new Instance(compiled, { env: { memory } }).exports as Exports;
    if (exports.MEMORY_BYTES.value > memory.buffer.byteLength) throw new Error(`bug: a module needs ${exports.MEMORY_BYTES.value} bytes and has ${memory.buffer.byteLength}`);
    return { exports, memory: Buffer.from(memory.buffer), words: new Int32Array(memory.buffer) };
  };
}

function newMemory({ Memory }: WebAssemblyApi, pages: number): { readonly buffer: ArrayBuffer } {
  try {
    return new Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    // Raised while modules load, where nobody prints a fix beside its message.
    const fix = 'start the daemon without a limit on its address space (ulimit -v unlimited, LimitAS=infinity); what bounds its memory is MemoryMax or a cgroup';
    throw new EngineError('OUT_OF_RESOURCES', `there are no addresses left for WebAssembly (${messageOf(cause)}): ${fix}`, { cause, fix });
  }
}
