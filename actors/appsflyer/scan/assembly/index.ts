/**
 * The scanner's WebAssembly, in AssemblyScript: `npm run wasm` makes ../scan-wasm.ts of it, which is what runs, and test/tidy holds the two equal.
 * ../scanner.ts says what each part is for.
 */

export * from './layout';
export { identity } from './identity';
export { isJson, keep, scan, setMultiplier, setRepeatingCount, setShortName, slotOfName } from './scan';
