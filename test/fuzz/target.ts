/**
 * What a fuzz target is, and how it runs: inputs are bytes, each made from a seed of its own, so that any failure is repeated by one number,
 * shrunk by leaving bytes out, and kept as a file.
 *
 * Guarantee: a run ends at its time or its count, and its first cases are those of the corpus. A case that takes longer than
 * {@link CASE_MS_MAX} fails: no decoder may be held up by its input. One that does not end is named and ends the process (watchdog.ts).
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Random } from './json-bytes.ts';
import { Watchdog } from './watchdog.ts';

export interface FuzzTarget {
  readonly name: string;
  readonly generate: (random: Random) => Buffer;
  /** Raises when the code under test does wrong; gives the same answer for the same bytes. */
  readonly check: (input: Buffer) => void | Promise<void>;
}

export interface FuzzLimits {
  readonly seed: number;
  readonly ms?: number;
  readonly cases?: number;
  /** A case that takes so long ends the process. */
  readonly endlessMs?: number;
}

export interface FuzzFailure {
  /** Null for an input of the corpus. */
  readonly seed: number | null;
  /** Name of the corpus file; null for a made input. */
  readonly file: string | null;
  readonly input: Buffer;
  readonly shrunk: Buffer;
  readonly error: unknown;
}

export interface FuzzReport {
  readonly cases: number;
  readonly ms: number;
  readonly failure: FuzzFailure | null;
}

/** Chosen: a hundred times what the slowest sound case takes on a busy machine. */
const CASE_MS_MAX = 5_000;
/** Chosen: no pause of a machine is so long. */
const ENDLESS_MS = 30_000;
const SHRINK_MS_MAX = 5_000;
const CORPUS = 'test/fuzz/corpus';

export function corpusOf(target: FuzzTarget): { readonly file: string; readonly input: Buffer }[] {
  const folder = join(CORPUS, target.name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).sort().map((file) => ({ file, input: readFileSync(join(folder, file)) }));
}

/** The corpus, then made inputs until time or count is up or one fails. */
export async function runTarget(target: FuzzTarget, limits: FuzzLimits): Promise<FuzzReport> {
  const watchdog = new Watchdog(limits.endlessMs ?? ENDLESS_MS);
  try {
    return await runWatched(target, limits, watchdog);
  } finally {
    await watchdog.close();
  }
}

async function runWatched(target: FuzzTarget, limits: FuzzLimits, watchdog: Watchdog): Promise<FuzzReport> {
  const startMs = performance.now();
  let cases = 0;
  for (const { file, input } of corpusOf(target)) {
    watchdog.begin(sourceOf(target, { seed: null, file }));
    const error = await outcomeOf(target, input);
    cases++;
    if (error !== null) return { cases, ms: performance.now() - startMs, failure: { seed: null, file, input, shrunk: await shrink(target, input), error } };
  }
  const endMs = startMs + (limits.ms ?? Infinity);
  for (let made = 0; made < (limits.cases ?? Infinity) && performance.now() < endMs; made++) {
    const seed = (limits.seed + made) | 0;
    watchdog.begin(sourceOf(target, { seed, file: null }));
    const input = target.generate(new Random(seed));
    const error = await outcomeOf(target, input);
    cases++;
    if (error !== null) return { cases, ms: performance.now() - startMs, failure: { seed, file: null, input, shrunk: await shrink(target, input), error } };
  }
  return { cases, ms: performance.now() - startMs, failure: null };
}

/** What the check raised; null for nothing. */
async function outcomeOf(target: FuzzTarget, input: Buffer): Promise<unknown> {
  const startMs = performance.now();
  try {
    const pending = target.check(input);
    // Awaited only where there is something to wait for: most checks take microseconds.
    if (pending !== undefined) await pending;
  } catch (error) {
    return error ?? new Error('nothing was raised, by throw');
  }
  const ms = performance.now() - startMs;
  return ms > CASE_MS_MAX ? new Error(`one case took ${ms.toFixed(0)} ms`) : null;
}

/** Leaves out stretches of bytes, long ones first, as long as the input still fails. */
async function shrink(target: FuzzTarget, input: Buffer): Promise<Buffer> {
  const endMs = performance.now() + SHRINK_MS_MAX;
  let best = input;
  for (let size = Math.ceil(input.byteLength / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.byteLength; ) {
      if (performance.now() > endMs) return best;
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if ((await outcomeOf(target, shorter)) !== null) best = shorter;
      else at += size;
    }
  }
  return best;
}

/** For people: the shrunk input, why it fails, and the command that repeats it. */
export function describeFailure(target: FuzzTarget, { seed, file, shrunk, error }: FuzzFailure): string {
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${sourceOf(target, { seed, file })}\nshrunk (base64): ${shrunk.subarray(0, 4_096).toString('base64')}\nshrunk: ${JSON.stringify(shrunk.toString('latin1').slice(0, 2_000))}\n${why}`;
}

const sourceOf = ({ name }: FuzzTarget, { seed, file }: Pick<FuzzFailure, 'seed' | 'file'>): string =>
  `fuzz target ${name}: ${file === null ? `seed ${seed}; repeat: npm run fuzz -- --target ${name} --seed ${seed} --cases 1` : `corpus file ${file}`}`;

/** Raises unless both are the same, give or take the order of keys. */
export function requireEqual(found: unknown, wanted: unknown, what: string): void {
  if (found === wanted) return;
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right && !isDeepStrictEqual(found, wanted)) throw new Error(`${what}: found ${left}, wanted ${right}`);
}

/** Raises unless `condition` holds. */
export function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
