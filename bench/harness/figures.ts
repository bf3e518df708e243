/**
 * The figures that the table of goals is made of (bench/goals.ts): each part of the bench writes its own, the run of everything reads them all.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './machine.ts';

export interface Figure {
  readonly median: number;
  /** The worst and the best round, in the order of their size. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

export type Figures = Readonly<Record<string, Figure>>;

const DIRECTORY = join(process.cwd(), 'bench/results');
const FILE = join(DIRECTORY, 'figures.json');

/** Of at least one round. */
export const figureOf = (rounds: readonly number[]): Figure => ({ median: median(rounds), low: Math.min(...rounds), high: Math.max(...rounds), rounds: rounds.length });

/** Adds to what other parts have written, in place of what this one wrote before. */
export function writeFigures(figures: Figures): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(FILE, `${JSON.stringify({ ...readFigures(), ...figures }, null, 2)}\n`);
}

export const readFigures = (): Figures => (existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Figures) : {});

export function forgetFigures(): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(FILE, '{}\n');
}
