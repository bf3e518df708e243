/**
 * Shadows of a data directory: results folded again under other rules, beside the ones in use.
 *
 * ```
 * shadows/NAME/shadow.json     what it is and how far it has come
 * shadows/NAME/before/         a copy of the data directory, while the shadow is made
 * shadows/NAME/after/          state and live store of the fold under the shadow's rules; from the lake: a live store of the cells that differ
 * shadows/NAME/former/         from the lake: a live store of the same cells as they were
 * shadows/NAME/next/           what a promotion is about to put into use
 * ```
 * A shadow is worth nothing to the daemon, which never looks into it. One command at a time works on one: its lock is that of a data directory.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import { z } from '../core/schema.ts';
import { nodeDisk } from '../log/index.ts';
import { writeFileAtomically } from './data-directory.ts';

const FOLDER = 'shadows';
const SHADOW_FILE = 'shadow.json';
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/;

const shadowSchema = z.object({
  /** 2: from the lake; programs that know 1 alone would take it for one of the journal. */
  version: z.union([z.literal(1), z.literal(2)]),
  source: z.enum(['journal', 'lake']).default('journal'),
  state: z.enum(['copying', 'folding', 'ready']),
  instance: z.string(),
  /** Of the data directory when it was copied. */
  generation: z.number(),
  createdAtMs: z.number(),
  /** As asked; null for no bound. */
  fromMs: z.number().nullable(),
  toMs: z.number().nullable(),
  /** Start of the first hour that the journal has whole; 0 for all. */
  completeFromMs: z.number(),
  rules: z.custom<Rules>((value) => typeof value === 'object' && value !== null),
  /** Cells that differed when it was made; null until then. */
  differing: z.number().nullable(),
});

export type Shadow = z.infer<typeof shadowSchema>;

export interface ShadowPlace {
  readonly name: string;
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly former: string;
  readonly next: string;
}

/** Raises CONFIG_INVALID for what cannot be a name. */
export function shadowPlace(dataDirectory: string, name: string): ShadowPlace {
  if (!NAME.test(name)) throw new EngineError('CONFIG_INVALID', `${JSON.stringify(name.slice(0, 80))} is no name of a shadow`, { fix: 'use up to 64 letters, digits and dashes, the first and the last no dash' });
  const path = join(dataDirectory, FOLDER, name);
  return { name, path, before: join(path, 'before'), after: join(path, 'after'), former: join(path, 'former'), next: join(path, 'next') };
}

export const shadowNames = (dataDirectory: string): string[] => (existsSync(join(dataDirectory, FOLDER)) ? readdirSync(join(dataDirectory, FOLDER)).filter((name) => NAME.test(name)).sort() : []);

/** Makes its folder. Raises DATA_DIR_UNUSABLE where there is one of that name. */
export function makeShadow(dataDirectory: string, place: ShadowPlace): void {
  try {
    nodeDisk.makeDirectory(join(dataDirectory, FOLDER));
    mkdirSync(place.path);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new EngineError('DATA_DIR_UNUSABLE', exists ? `there is a shadow ${place.name} already` : `${place.path} cannot be made: ${messageOf(error)}`, {
      where: { path: place.path },
      fix: exists ? `choose another name, or remove it with millrace replay drop ${place.name}` : 'make the data directory writable',
      cause: error,
    });
  }
}

export function writeShadow(place: ShadowPlace, shadow: Shadow): void {
  writeFileAtomically(join(place.path, SHADOW_FILE), `${JSON.stringify(shadow, null, 2)}\n`);
}

export const noShadow = ({ name, path }: ShadowPlace): EngineError => new EngineError('CONFIG_INVALID', `there is no shadow ${name}`, { where: { path }, fix: 'millrace replay ls lists those that are there' });

/** Null for one that was cut off before it said what it is. Raises CONFIG_INVALID where there is none, DATA_DIR_UNUSABLE for a damaged one. */
export function readShadow(place: ShadowPlace): Shadow | null {
  if (!existsSync(place.path)) throw noShadow(place);
  const file = join(place.path, SHADOW_FILE);
  if (!existsSync(file)) return null;
  try {
    return shadowSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new EngineError('DATA_DIR_UNUSABLE', `${file} cannot be read: ${messageOf(error)}`, { where: { file }, fix: `remove it with millrace replay drop ${place.name}`, cause: error });
  }
}

export function removeShadow(place: ShadowPlace): void {
  // First of all what makes it one: whoever is cut off here leaves nothing that could be promoted.
  rmSync(join(place.path, SHADOW_FILE), { force: true });
  rmSync(place.path, { recursive: true, force: true });
}
