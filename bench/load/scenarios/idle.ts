/** What a daemon costs that nobody sends anything to. */

import { cpuSeconds, rssMiB } from '../../harness/machine.ts';
import { withDaemon, type Scenario, type ScenarioReport } from '../scenario.ts';

export interface IdleReport extends ScenarioReport {
  readonly cpuShare: number;
  readonly rssMiB: number;
}

const WARM_UP_MS = 5_000;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, delayMs));

export const idle: Scenario = {
  name: 'idle',
  options: { seconds: 30, rounds: 1 },
  run: (options) =>
    withDaemon(options, async (daemon): Promise<IdleReport> => {
      const { seconds } = options;
      const pid = daemon.child.pid as number;
      await pause(WARM_UP_MS);
      const start = cpuSeconds(pid);
      await pause(seconds * 1_000);
      const cpuShare = (cpuSeconds(pid) - start) / seconds;
      const rss = rssMiB(pid);
      return { scenario: 'idle', cpuShare, rssMiB: rss, lost: 0, lines: [`idle    CPU ${(cpuShare * 100).toFixed(2)} % of a core over ${seconds} s, RSS ${rss} MiB`] };
    }),
};
