/**
 * Speeds up running time, by which the dedupe horizon is told: the journal counts it from gaps of the monotonic clock, which nothing else may
 * see sped up (syncs, deadlines and waits are measured by it too). So the one line that counts it is changed as the module is loaded.
 */

import type { LoadHook } from 'node:module';

const MODULE = '/engine/log/journal-writer.js';
const LINE = 'const runningTimeMs = this.#options.order.runningTime(this.#state.runningTimeMs + counted);';
const speedup = Number((process.env['SOAK_CLOCK'] ?? '').split(',')[2]);

export const load: LoadHook = async (url, context, next) => {
  const loaded = await next(url, context);
  if (!url.endsWith(MODULE)) return loaded;
  const { source: bytes } = loaded;
  if (bytes === undefined || typeof bytes === 'string') throw new Error(`${url} was to be loaded as bytes`);
  const source = new TextDecoder().decode(bytes);
  if (source.split(LINE).length !== 2) throw new Error(`${url} does not count running time by the line that the soak knows: ${LINE}`);
  return { ...loaded, source: source.replace(LINE, LINE.replace('+ counted', `+ counted * ${speedup}`)) };
};
