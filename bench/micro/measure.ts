/**
 * Times a function that runs in nanoseconds: warmed up, in several rounds, median and spread of them.
 */

export interface Timing {
  readonly name: string;
  /** Nanoseconds per call: the median of the rounds, and the fastest and the slowest. */
  readonly medianNs: number;
  readonly minNs: number;
  readonly maxNs: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** Calls per round; a round of a tenth of that warms up. */
  readonly calls: number;
}

/** Calls `work(call)` and adds up what it returns, so that nothing is optimised away; raises when the sum is not a number. */
export function measure(name: string, options: MeasureOptions, work: (call: number) => number): Timing {
  let sum = 0;
  for (let call = 0; call < options.calls / 10; call++) sum += work(call);
  const rounds: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const began = process.hrtime.bigint();
    for (let call = 0; call < options.calls; call++) sum += work(call);
    rounds.push(Number(process.hrtime.bigint() - began) / options.calls);
  }
  if (Number.isNaN(sum)) throw new Error(`bug: ${name} gave no number`);
  rounds.sort((a, b) => a - b);
  return {
    name,
    medianNs: rounds[rounds.length >> 1] as number,
    minNs: rounds[0] as number,
    maxNs: rounds.at(-1) as number,
  };
}

export function printTimings(title: string, timings: readonly Timing[]): void {
  const lines = timings.map(
    (timing) => `${timing.name.padEnd(44)} ${timing.medianNs.toFixed(0).padStart(7)} ns  (${timing.minNs.toFixed(0)} to ${timing.maxNs.toFixed(0)})`,
  );
  process.stdout.write(`${title}\n${lines.join('\n')}\n`);
}
