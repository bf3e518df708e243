/** The program's version, as package.json has it: the only place that reads it. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Beside the sources, or above what was built from them. */
const file = ['..', '../..'].map((place) => join(import.meta.dirname, place, 'package.json')).find((path) => existsSync(path)) as string;

export const VERSION: string = (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
