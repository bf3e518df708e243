/** A network namespace of its own, as each container has one. Needs the right to make it. */

import { spawnSync } from 'node:child_process';

/** Put before a command. */
export const OTHER_NETWORK = ['unshare', '--net'] as const;
export const canUnshare = spawnSync('unshare', ['--net', 'true']).status === 0;
