/** Takes the lock of the directory it is given, says so, and holds it until it is killed; or says why not and ends. */

import { lockDirectory } from '../../../engine/runtime/directory-lock.ts';

lockDirectory(process.argv[2] ?? '').then(
  ({ acrossContainers }) => {
    process.stdout.write(`held ${acrossContainers}\n`);
    setInterval(() => undefined, 60_000);
  },
  (error: unknown) => {
    process.stdout.write(`${String((error as { code?: unknown }).code)}\n`);
  },
);
