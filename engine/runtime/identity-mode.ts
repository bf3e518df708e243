/**
 * Since when a data directory makes identities the way it does now: `identity.json`, kept up at every start.
 *
 * The lake's `event_id` made in one dedupe mode says nothing about those made in another, and without dedupe nothing is remembered at all. Who looks
 * for an old event by its identity (the Pull poller) must know from when on that is of use.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DedupeMode } from '../core/rules.ts';
import { z } from '../core/schema.ts';
import { writeFileAtomically } from './data-directory.ts';

export const IDENTITY_FILE = 'identity.json';

const schema = z.object({ mode: z.string(), sinceMs: z.int(), rememberedSinceMs: z.int() });

export interface IdentityMode {
  /** The lake's identities have been made as they are now. Epoch ms. */
  readonly sinceMs: number;
  /** Dedupe has remembered what was taken; 0 for always. */
  readonly rememberedSinceMs: number;
}

/** Notes the mode of this start. `isNew`: the directory was made just now; its identities are its own from the start of the lake slot it begins in. */
export function noteIdentityMode(directory: string, { mode, isNew, nowMs, slotMs }: { readonly mode: DedupeMode; readonly isNew: boolean; readonly nowMs: number; readonly slotMs: number }): IdentityMode {
  const file = join(directory, IDENTITY_FILE);
  const noted = read(file);
  if (noted?.mode === mode) return { sinceMs: noted.sinceMs, rememberedSinceMs: noted.rememberedSinceMs };
  const own: IdentityMode = { sinceMs: isNew ? Math.floor(nowMs / slotMs) * slotMs : nowMs, rememberedSinceMs: noted?.mode === 'none' ? nowMs : (noted?.rememberedSinceMs ?? 0) };
  writeFileAtomically(file, `${JSON.stringify({ mode, ...own })}\n`);
  return own;
}

/** Null where nothing readable is there: then nobody knows. */
function read(file: string): z.infer<typeof schema> | null {
  if (!existsSync(file)) return null;
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}
