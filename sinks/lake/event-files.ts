/**
 * Which files of `events/` hold the rows of one event date, up to a slot; and one of them read. Names and holes are sorted out by the names alone.
 *
 * A file is named by its date, its slot and its part of both, counted from 0: where a part is missing, somebody has lost it.
 */

import { setTimeout } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import type { SlotId } from '../../engine/core/lake-slot.ts';
import { EVENTS_FOLDER, eventsAfter, FILE_BYTES_MAX, isEventsFile } from './erase-objects.ts';
import { compareSlots, parseSlotName } from './spool.ts';
import { refused, type LakeTarget, type RewritableTarget } from './target.ts';

/** Of one date. Chosen: a hundred times what 20,000 events a minute make. */
const FILES_MAX = 100_000;
const HOLES_MAX = 1_000;
const PART = /^(.+)-part(\d{4,9})\.parquet$/;
/** Pauses before a read is tried again: a walk through weeks of files must not end with one lost connection. */
const RETRY_PAUSES_MS: readonly number[] = [500, 2_000, 8_000];

export interface EventFiles {
  /** To be read, in order. */
  readonly names: readonly string[];
  /** Of parts that must have been there once. */
  readonly missing: readonly string[];
  /** Files of later slots. */
  readonly later: number;
  /** What no slot is named by: somebody else's. */
  readonly foreign: readonly string[];
}

/** `throughSlot`: null for none. Rejects SINK_UNAVAILABLE or SINK_REFUSED. */
export async function eventFilesOf(target: RewritableTarget, eventDate: string, throughSlot: SlotId | null): Promise<EventFiles> {
  const folder = `${EVENTS_FOLDER}event_date=${eventDate}/`;
  const names: string[] = [];
  for (let after = folder; ; ) {
    const page = (await patiently(() => eventsAfter(target, after))) ?? [];
    names.push(...page.filter((name) => name.startsWith(folder) && isEventsFile(name)));
    if (names.length > FILES_MAX) throw refused(`the lake has more than ${FILES_MAX} files under ${folder}`, { sink: 'lake', file: folder }, undefined, 'ask for other days, or look at what wrote them');
    const last = page.at(-1);
    if (last?.startsWith(folder) !== true) return sortedOut(names, folder, throughSlot);
    after = last;
  }
}

/** Pure. `names` lie in `folder`. */
export function sortedOut(names: readonly string[], folder: string, throughSlot: SlotId | null): EventFiles {
  const slots = new Map<string, Set<number>>();
  const foreign: string[] = [];
  const read: string[] = [];
  let later = 0;
  for (const name of [...names].sort()) {
    const [, slotText = '', part = ''] = PART.exec(name.slice(folder.length)) ?? [];
    const slot = parseSlotName(slotText);
    if (slot === null) foreign.push(name);
    else if (throughSlot === null || compareSlots(slot, throughSlot) > 0) later++;
    else {
      read.push(name);
      slots.set(slotText, (slots.get(slotText) ?? new Set()).add(Number(part)));
    }
  }
  const missing = [...slots].flatMap(([slot, parts]) => holesOf(parts).map((part) => `${folder}${slot}-part${String(part).padStart(4, '0')}.parquet`));
  return { names: read, missing, later, foreign };
}

/** Numbers below the highest that are not there; at most HOLES_MAX, for any name may have been put there. */
function holesOf(parts: ReadonlySet<number>): number[] {
  const highest = Math.max(...parts);
  const holes: number[] = [];
  for (let part = 0; part < highest && holes.length < HOLES_MAX; part++) if (!parts.has(part)) holes.push(part);
  return holes;
}

/** Null when it has gone since it was listed. Rejects SINK_UNAVAILABLE or SINK_REFUSED. */
export const readEventFile = (target: LakeTarget, name: string): Promise<Uint8Array | null> => patiently(() => target.get(name, FILE_BYTES_MAX));

async function patiently<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (const pauseMs of RETRY_PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'SINK_UNAVAILABLE')) throw error;
      await setTimeout(pauseMs);
    }
  }
  return attempt();
}
