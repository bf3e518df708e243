/** Outcomes of runs: a line of JSON each in a file that several campaigns may add to, and the table of all of them. */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { FAULTS } from './faults/index.ts';

export interface Outcome {
  /** Names of the kinds, joined by +. */
  readonly kind: string;
  readonly seed: number;
  readonly exact: boolean;
  readonly inflicted: number;
  /** Sum over the kinds of the run. */
  readonly felt: number;
  readonly events: number;
  readonly seconds: number;
  /** Of a run that was not exact. */
  readonly failure?: string;
  readonly at: string;
}

export function appendOutcome(file: string, outcome: Outcome): void {
  appendFileSync(file, `${JSON.stringify(outcome)}\n`);
}

export const readOutcomes = (file: string): Outcome[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Outcome) : [];

/** Markdown; kinds in the order of their declaration, mixtures after them. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const names = [...FAULTS.map((fault) => fault.name), ...outcomes.map((outcome) => outcome.kind)];
  const rows = [...new Set(names)].flatMap((name) => {
    const runs = outcomes.filter((outcome) => outcome.kind === name);
    if (runs.length === 0) return [];
    const sum = (value: (outcome: Outcome) => number): number => runs.reduce((total, outcome) => total + value(outcome), 0);
    const failed = runs.filter((outcome) => !outcome.exact).length;
    const outcome = failed === 0 ? `${runs.length} exact` : `${runs.length - failed} exact, **${failed} not**`;
    return [`| \`${name}\` | ${runs.length} | ${sum(({ inflicted }) => inflicted)} | ${sum(({ felt }) => felt)} | ${sum(({ events }) => events)} | ${outcome} |`];
  });
  return ['| kind | runs | inflicted | felt | events | outcome |', '|---|---|---|---|---|---|', ...rows].join('\n');
}
