/**
 * A guard: one rule of the design, the place in the sources that keeps it, a bug put there, and the test that must fail with the bug.
 *
 * Guarantees (test/tidy/guards.test.ts): `find` stands once in its file, and the test exists under its name.
 */

/** Sections of the design, in the words of the map in test/README.md. */
export const SECTIONS = {
  promises: '1. Promises',
  journal: '2. The journal',
  door: '2. The door',
  fold: '2. Time, rules and partitions',
  results: '2. Merge, live store and sinks',
  recovery: '2. Recovery and threads',
  state: '3. State',
  time: '4. Time',
} as const;
export type Section = keyof typeof SECTIONS;

/** Known failures of other systems, as they are named in test/simulation/named-failures.md. */
export const FAILURES = [
  'a future timestamp pins the watermark',
  'an idle partition holds windows open',
  'all idle, and the last window never fires',
  'a dedupe mark written before its effect',
  'a retry rejected as a duplicate of its own failed attempt',
  'increments doubled on replay',
  'unfinished lake files at shutdown',
  'ingest answers OK while the disk is full',
  'a poison batch stops a partition for everyone',
  'a hot key',
  'unlink before the index is synced',
  'a torn tail that loops for ever',
  'a retried fsync that lies',
  'stale bytes read as new',
  'a segment counter that wraps',
  'late data dropped in silence',
  'a consumer that looks alive but has stopped',
  'state restored with an offset it does not cover',
  'a window closed by one fast source',
  'a revision counter restarted, and every write refused',
  'a change number given twice after a power cut',
  'a shutdown that loses the last batch',
] as const;
export type Failure = (typeof FAILURES)[number];

/** A test by its file (below `test/`) and a part of its name, as both stand in the sources. */
export interface NamedTest {
  readonly file: string;
  readonly name: string;
  /** Where the name stands, when a suite of another file is run: below `test/`. */
  readonly suite?: string;
}

/** So many seeds of the simulation, of which one must fail, by one of these checkers. */
export interface SeededTest {
  readonly seeds: number;
  readonly finders: readonly string[];
}

export interface Guard {
  readonly section: Section;
  readonly rule: string;
  /** The source that keeps the rule. */
  readonly file: string;
  readonly find: string;
  /** The bug. */
  readonly replace: string;
  /** The known failure of other systems that it keeps away, if it is one. */
  readonly keepsAway?: Failure;
  readonly test: NamedTest | SeededTest;
}

/** A rule without a guard or without a test, and why. */
export interface Gap {
  readonly section: Section;
  readonly rule: string;
  readonly reason: string;
}

export type GuardKind = 'unit' | 'integration' | 'simulation';

export const isSeeded = (test: Guard['test']): test is SeededTest => 'seeds' in test;

export function kindOf({ test }: Guard): GuardKind {
  if (isSeeded(test)) return 'simulation';
  return /^(integration|crash)\//.test(test.file) ? 'integration' : 'unit';
}

/** One text in the place of another; raises when that does not stand there exactly once. */
export function planted(text: string, { file, find, replace }: Pick<Guard, 'file' | 'find' | 'replace'>): string {
  const at = text.indexOf(find);
  if (at < 0 || text.includes(find, at + 1)) throw new Error(`${file}: ${at < 0 ? 'does not hold' : 'holds more than once'}: ${find}`);
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
