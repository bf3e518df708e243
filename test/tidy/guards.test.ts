/** Holds the map of rules to what there is: sources, tests, tables. Whether each test fails with its bug, `npm run guards` tells. */

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAILURES, isSeeded, planted, SECTIONS } from '../guards/guard.ts';
import { GAPS, GUARDS } from '../guards/guards.ts';
import { withMap } from '../guards/map.ts';
import { PLANTS } from '../simulation/plants.ts';
import { MISFORTUNES } from '../simulation/schedule.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string): string => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
/** Quotes may be escaped where a name stands. */
const holdsName = (file: string, name: string): boolean => read(file).replaceAll("\\'", "'").includes(name);

describe('the guards', () => {
  it('find what they change once in its file, and change it', () => {
    for (const guard of GUARDS) expect(planted(read(guard.file), guard), guard.rule).not.toBe(read(guard.file));
  });

  it('name tests that exist', () => {
    const missing = GUARDS.flatMap(({ rule, test }) => (isSeeded(test) || (existsSync(join(root, 'test', test.file)) && holdsName(`test/${test.suite ?? test.file}`, test.name)) ? [] : [`${rule}: ${test.file}: ${test.name}`]));
    expect(missing).toEqual([]);
  });

  it('are one for each rule, and there are some for each section', () => {
    const names = [...GUARDS, ...GAPS].map(({ section, rule }) => `${section}: ${rule}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    expect(Object.keys(SECTIONS).filter((section) => !GUARDS.some((guard) => guard.section === section))).toEqual([]);
  });

  it('stand in the map as they are', () => {
    const page = read('test/README.md');
    expect(withMap(page, GUARDS, GAPS) === page, 'npm run guards -- --map').toBe(true);
  });
});

describe('the known failures of other systems', () => {
  const rows = read('test/simulation/named-failures.md').split('\n').filter((line) => /^\| (?!failure)[a-z]/.test(line)).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()) as [failure: string, guard: string, tests: string]);

  it('are all there, each with its guard or the reason why it cannot happen', () => {
    expect(rows.map(([failure]) => failure)).toEqual([...FAILURES]);
    const unguarded = rows.filter(([failure, guard]) => !guard.startsWith('cannot happen') && !GUARDS.some(({ keepsAway }) => keepsAway === failure));
    expect(unguarded.map(([failure]) => failure)).toEqual([]);
  });

  it('name tests that exist', () => {
    const missing: string[] = [];
    for (const [failure, guard, tests] of rows) {
      if (tests === '') {
        if (!guard.startsWith('cannot happen')) missing.push(`${failure}: no test`);
        continue;
      }
      let file = '';
      for (const part of tests.split(' · ')) {
        const simulated = /^simulation: (planted|misfortune) `(.+)`$/.exec(part);
        if (simulated !== null) {
          const known: object = simulated[1] === 'planted' ? PLANTS : MISFORTUNES;
          if (!((simulated[2] as string) in known)) missing.push(`${failure}: ${part}`);
          continue;
        }
        const named = /^`([^`]+)`: (.+)$/.exec(part);
        file = named?.[1] ?? file;
        if (!holdsName(`test/${file}`, named?.[2] ?? part)) missing.push(`${failure}: ${file}: ${named?.[2] ?? part}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
