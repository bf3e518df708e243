/** What a daemon costs that nobody sends anything to. */

import { median, rssMiB, threadSeconds } from '../../harness/machine.ts';
import { withDaemon, type Scenario, type ScenarioReport } from '../scenario.ts';

export interface IdleReport extends ScenarioReport {
  /** By round. */
  readonly cpuShares: readonly number[];
  readonly rssMiB: number;
}

const WARM_UP_MS = 5_000;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, delayMs));

export const idle: Scenario = {
  name: 'idle',
  options: { seconds: 15, rounds: 2 },
  run: (options) =>
    withDaemon(options, async (daemon): Promise<IdleReport> => {
      const { seconds, rounds } = options;
      const pid = daemon.child.pid as number;
      await pause(WARM_UP_MS);
      const cpuShares: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const start = threadSeconds(pid);
        await pause(seconds * 1_000);
        cpuShares.push((threadSeconds(pid) - start) / seconds);
      }
      const rss = rssMiB(pid);
      return { scenario: 'idle', cpuShares, rssMiB: rss, lost: 0, lines: [`idle    CPU ${(median(cpuShares) * 100).toFixed(2)} % of a core (median of ${rounds} times ${seconds} s), RSS ${rss} MiB`] };
    }),
};
