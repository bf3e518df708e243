/**
 * Since when a data directory makes identities the way it does now: `identity.json`, kept up at every start.
 *
 * The lake's `event_id` made in one dedupe mode says nothing about those made in another, and without dedupe nothing is remembered at all. Who looks
 * for an old event by its identity (the Pull poller) must know from when on that is of use. A change of mode forgets nothing; a horizon that was shorter has,
 * and so may have whatever kept the directory before anything was noted.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DedupeMode } from '../core/rules.ts';
import { z } from '../core/schema.ts';
import { writeFileAtomically } from './data-directory.ts';

export const IDENTITY_FILE = 'identity.json';

const schema = z.object({ mode: z.string(), horizonMs: z.int(), sinceMs: z.int(), rememberedSinceMs: z.int() });
type Noted = Readonly<z.infer<typeof schema>>;

export interface IdentityMode {
  /** The lake's identities have been made as they are now. Epoch ms. */
  readonly sinceMs: number;
  /** Dedupe has remembered what was taken; 0 for always. */
  readonly rememberedSinceMs: number;
}

export interface IdentityStart {
  readonly mode: DedupeMode;
  readonly horizonMs: number;
  /** The directory was made just now; its identities are its own from the start of the lake slot it begins in. */
  readonly isNew: boolean;
  readonly nowMs: number;
  readonly slotMs: number;
}

/** Notes the mode and the horizon of this start. */
export function noteIdentityMode(directory: string, start: IdentityStart): IdentityMode {
  const { mode, horizonMs, isNew, nowMs, slotMs } = start;
  const file = join(directory, IDENTITY_FILE);
  const noted = read(file);
  const sinceMs = noted?.mode === mode ? noted.sinceMs : isNew ? Math.floor(nowMs / slotMs) * slotMs : nowMs;
  const rememberedSinceMs = rememberedSince(noted, start);
  const own: Noted = { mode, horizonMs, sinceMs, rememberedSinceMs };
  if (JSON.stringify(noted) !== JSON.stringify(own)) writeFileAtomically(file, `${JSON.stringify(own)}\n`);
  return { sinceMs, rememberedSinceMs };
}

/** A horizon counts running time, which is never longer than the clock's. */
function rememberedSince(noted: Noted | null, { mode, horizonMs, isNew, nowMs }: IdentityStart): number {
  if (noted === null) return isNew ? 0 : nowMs;
  if (noted.mode === 'none' && mode !== 'none') return nowMs;
  return horizonMs > noted.horizonMs ? Math.max(noted.rememberedSinceMs, nowMs - noted.horizonMs) : noted.rememberedSinceMs;
}

/** Null where nothing readable is there: then nobody knows. */
function read(file: string): Noted | null {
  if (!existsSync(file)) return null;
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}
