/** The peak of single events while the lake encodes all the time: slots of 64 MiB of journal, so that the pool always has one. */

import { withDaemon, type Scenario } from '../scenario.ts';
import { runPeak } from './peak.ts';

const SLOT_BYTES = 64 * 1024 * 1024;

export const encoding: Scenario = {
  name: 'encoding',
  options: { seconds: 4, rounds: 2 },
  run: (options) => withDaemon({ ...options, env: { ...options.env, MILLRACE_LAKE_SLOT_BYTES_MAX: String(SLOT_BYTES) } }, (daemon) => runPeak(daemon, options, 'encoding')),
};
