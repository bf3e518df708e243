/** What the parts of the bench share as programs: whether a module is the one that was started, and numbers on its command line. */

import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** `url`: the module's own `import.meta.url`. False where a test or another bench imports it. */
export const isProgram = (url: string): boolean => process.argv[1] !== undefined && url === pathToFileURL(realpathSync(process.argv[1])).href;

/** The number behind `--name`. */
export function numberArgument(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}
