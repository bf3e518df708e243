/**
 * `npm run simulate -- --seeds N --from S [--plant NAME]`: many simulated stories, one after another. Ends with 1 at the first that a
 * checker finds wrong, with the command that repeats it.
 */

import { parseArgs } from 'node:util';
import { simulate, type SimulationReport } from './simulation.ts';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '200' }, from: { type: 'string', default: '1' }, plant: { type: 'string' } } });
const [seeds, from] = [Number(values.seeds), Number(values.from)];
const totals = new Map<string, number>();
const startMs = performance.now();
for (let seed = from; seed < from + seeds; seed++) {
  try {
    const report = await simulate({ seed, ...(values.plant === undefined ? {} : { plant: values.plant }) });
    for (const [name, value] of Object.entries(report) as [keyof SimulationReport, number][]) totals.set(name, (totals.get(name) ?? 0) + value);
  } catch (error) {
    process.stdout.write(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nrepeat with: npm run simulate -- --seeds 1 --from ${seed}${values.plant === undefined ? '' : ` --plant ${values.plant}`}\n`);
    process.exit(1);
  }
}
process.stdout.write(`${seeds} seeds from ${from} passed in ${((performance.now() - startMs) / 1_000).toFixed(1)} s: ${[...totals].map(([name, value]) => `${value} ${name}`).join(', ')}\n`);
process.exit(0);
