/**
 * The last step of a promotion, or of a purge: files that were made beside the ones in use take their place, all or none.
 *
 * ```
 * shadows/NAME/next/state/p003.mdb, live/live.mdb    whole and durable before ...
 * promotion.json                                     ... this is written: from here on the promotion has happened
 * state/p003.mdb, live/live.mdb, instance.json       each replaced by a rename; whoever is cut off is followed by one who goes on
 * promotion.json                                     removed last
 * ```
 * A purge makes its files in purging/next, and with them erasures.json, where it is to be gone on with.
 * Whoever takes the directory's lock finishes what was begun before anything is read, so nobody ever sees a part of it. Main thread.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import { z } from '../core/schema.ts';
import { nodeDisk } from '../log/index.ts';
import { writeFileAtomically } from './atomic-file.ts';

const PROMOTION_FILE = 'promotion.json';
/** Where a purge makes its files. */
export const PURGING_FOLDER = 'purging';

const promotionSchema = z.object({
  version: z.literal(1),
  /** Where the new files are, below the data directory. */
  from: z.string().regex(/^(?:shadows\/[A-Za-z0-9-]+|purging)\/next$/),
  files: z.array(z.string().regex(/^(?:(?:state|live)\/[a-z0-9]+\.mdb|erasures\.json)$/)).max(2_000),
  /** What instance.json is from now on. */
  instance: z.record(z.string(), z.unknown()),
});

export type Promotion = z.infer<typeof promotionSchema>;

/** The files of `promotion` are durable, and the directory is locked. When this returns it has happened, whatever fails afterwards. */
export function decidePromotion(path: string, promotion: Promotion): void {
  writeFileAtomically(join(path, PROMOTION_FILE), `${JSON.stringify(promotion, null, 2)}\n`);
}

/** Carries out what was decided; nothing where nothing was. Raises DATA_DIR_UNUSABLE. */
export function finishPromotion(path: string): void {
  const file = join(path, PROMOTION_FILE);
  if (!existsSync(file)) {
    // Of a purge that was cut off before it was decided.
    rmSync(join(path, PURGING_FOLDER), { recursive: true, force: true });
    return;
  }
  const { from, files, instance } = readPromotion(file);
  for (const name of files) {
    const next = join(path, from, name);
    // Else a former attempt has moved it.
    if (!existsSync(next)) continue;
    mkdirSync(dirname(join(path, name)), { recursive: true });
    renameSync(next, join(path, name));
  }
  for (const folder of new Set(files.map((name) => dirname(name)))) nodeDisk.syncDirectory(join(path, folder));
  writeFileAtomically(join(path, 'instance.json'), `${JSON.stringify(instance, null, 2)}\n`);
  rmSync(file);
  nodeDisk.syncDirectory(path);
  // The shadow, or what a purge has made, has done its work.
  rmSync(join(path, dirname(from)), { recursive: true, force: true });
}

/** Decided and not carried out: nobody has taken the directory's lock since. */
export const isPromotionPending = (path: string): boolean => existsSync(join(path, PROMOTION_FILE));

function readPromotion(file: string): Promotion {
  try {
    return promotionSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new EngineError('DATA_DIR_UNUSABLE', `${file} cannot be read: ${messageOf(error)}`, { where: { file }, fix: 'restore a savepoint: a promotion was cut off here, and what it was to do is not known', cause: error });
  }
}
