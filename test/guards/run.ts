/**
 * `npm run guards -- [--rule TEXT] [--section NAME] [--kind unit|integration|simulation] [--map]`: plants each bug, runs the test that must fail with it, and
 * prints what became of it. Ends with 1 where a test passes all the same. `--map` writes the map of rules into test/README.md instead.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isSeeded, kindOf, type Guard, type NamedTest } from './guard.ts';
import { GAPS, GUARDS } from './guards.ts';
import { withMap } from './map.ts';
import { isOf, verdictOf, Workshop } from './workshop.ts';

/** From the build. */
const root = resolve(import.meta.dirname, '../../..');
const { values } = parseArgs({
  options: {
    rule: { type: 'string', default: '' },
    section: { type: 'string', default: '' },
    kind: { type: 'string', default: '' },
    map: { type: 'boolean', default: false },
  },
});
const print = (line: string): void => void process.stdout.write(`${line}\n`);

if (values.map) {
  const readme = resolve(root, 'test/README.md');
  writeFileSync(readme, withMap(readFileSync(readme, 'utf8'), GUARDS, GAPS));
  process.exit(0);
}

const chosen = GUARDS.filter((guard) => {
  const isAsked = guard.rule.toLowerCase().includes(values.rule.toLowerCase()) || guard.file.includes(values.rule);
  return isAsked && (values.section === '' || guard.section === values.section) && (values.kind === '' || kindOf(guard) === values.kind);
});
if (chosen.length === 0) {
  print('no guard is of this rule, section and kind');
  process.exit(1);
}
const workshop = new Workshop(root);
process.exitCode = 1;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    workshop.close();
    process.exit(1);
  });
}
try {
  const isSound = await checkUndisturbed(chosen);
  const isGuarded = await plantAll(chosen);
  process.exitCode = isSound && isGuarded ? 0 : 1;
} finally {
  workshop.close();
}

/** A test that fails without any bug shows nothing with one. */
async function checkUndisturbed(guards: readonly Guard[]): Promise<boolean> {
  let isSound = true;
  for (const kind of ['unit', 'integration'] as const) {
    const tests = guards.filter((guard) => kindOf(guard) === kind).map(({ test }) => test as NamedTest);
    if (tests.length === 0) continue;
    const { passed, failed, broken } = await workshop.run(tests, kind);
    const missing = tests.filter((test) => ![...passed, ...failed].some((ran) => isOf(test, ran)));
    for (const { file, name } of missing) print(`MISSING    no test ran of this name: test/${file}: ${name}`);
    for (const { name, reason } of failed) print(`FAILS      without a bug: ${name}: ${reason}`);
    if (broken !== '') print(`BROKEN     ${kind}: ${broken}`);
    isSound &&= missing.length + failed.length === 0 && broken === '';
  }
  const seeds = Math.max(0, ...guards.map(({ test }) => (isSeeded(test) ? test.seeds : 0)));
  if (seeds === 0) return isSound;
  const { failed, broken } = await workshop.simulate(seeds);
  for (const { name, reason } of failed) print(`FAILS      without a bug: ${reason}: ${name}`);
  if (broken !== '') print(`BROKEN     simulation: ${broken}`);
  return isSound && failed.length === 0 && broken === '';
}

async function plantAll(guards: readonly Guard[]): Promise<boolean> {
  const counts = { killed: 0, survived: 0, broken: 0 };
  for (const guard of guards) {
    const startMs = performance.now();
    const { verdict, detail } = await tried(guard);
    counts[verdict]++;
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1).padStart(5);
    print(`${verdict === 'killed' ? 'killed' : verdict.toUpperCase().padEnd(8)}${verdict === 'killed' ? '  ' : ''} ${seconds} s  ${guard.rule}\n                    ${guard.file}: ${detail.slice(0, 160)}`);
  }
  print(`\n${counts.killed} bugs were found, ${counts.survived} survived, ${counts.broken} show nothing`);
  return counts.survived + counts.broken === 0;
}

async function tried(guard: Guard): Promise<ReturnType<typeof verdictOf>> {
  try {
    const { test } = guard;
    const outcome = await workshop.with(guard, () => (isSeeded(test) ? workshop.simulate(test.seeds) : workshop.run([test], kindOf(guard) as 'unit' | 'integration')));
    return verdictOf(guard, outcome);
  } catch (error) {
    return { verdict: 'broken', detail: error instanceof Error ? error.message : String(error) };
  }
}
