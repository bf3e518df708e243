/** The door to WebAssembly: modules that the sources carry as text, each instance with a memory of its own. */

/** What is used of it: TypeScript knows WebAssembly as a part of browsers alone. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: { readonly env: { readonly memory: object } }) => { readonly exports: unknown };
}
const { Module, Memory, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;

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

/** Compiles `base64` once and returns what makes instances of it. `bytes`: of the memory that each gets; untouched pages cost addresses alone. */
export function wasmModule<Exports extends { readonly MEMORY_BYTES: WasmConstant }>(base64: string, bytes: number): () => WasmInstance<Exports> {
  const compiled = new Module(Buffer.from(base64, 'base64'));
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return () => {
    const memory = new Memory({ initial: pages, maximum: pages });
    const exports = new Instance(compiled, { env: { memory } }).exports as Exports;
    if (exports.MEMORY_BYTES.value > memory.buffer.byteLength) throw new Error(`bug: a module needs ${exports.MEMORY_BYTES.value} bytes and has ${memory.buffer.byteLength}`);
    return { exports, memory: Buffer.from(memory.buffer), words: new Int32Array(memory.buffer) };
  };
}
