/** What must hold of somebody who was erased: nothing from before is left in lake, spool or dead letters; everybody else, and what comes later, stays. */

import type { Asked, People } from './people.ts';
import { LAKE, SPOOL, type LakeMemory } from './lake.ts';
import { rowsIn } from './lake-text.ts';
import { isOf } from './people.ts';
import type { SimulatedActor } from './threads.ts';

/** At the moment when the daemon says that it is done, and at the end, after all that came in between. */
export function checkErasedFiles(lake: LakeMemory, people: People, ids?: string): void {
  const asked = people.asked.filter(({ id, doneAt }) => doneAt < Infinity && (ids === undefined || id === ids));
  if (asked.length === 0) return;
  for (const [name, bytes] of lake.objects()) if (name.startsWith('events/')) checkRows(`${LAKE}/${name}`, bytes, { people, asked });
  for (const path of lake.disk.paths) if (path.startsWith(`${SPOOL}/ready/`) && !path.endsWith('.tmp')) checkRows(path, lake.disk.bytesOf(path), { people, asked });
}

function checkRows(path: string, bytes: Uint8Array, { people, asked }: { readonly people: People; readonly asked: readonly Asked[] }): void {
  for (const [id, app, user, properties] of rowsIn(bytes)) {
    const left = asked.find((one) => one.app === app && (user === one.user || properties?.includes(`"${one.user}"`) === true) && people.mustBeGone(id, one));
    if (left !== undefined) throw new Error(`erased: ${path} has event ${id} of ${left.user}, who was erased by ${String(left.id)}`);
  }
}

/** Letters that came again after somebody asked may stay. */
export function checkErasedLetters(actors: readonly Pick<SimulatedActor, 'id' | 'deadLetters'>[], people: People): void {
  for (const { id: partition, deadLetters } of actors.map((actor) => ({ id: actor.id, deadLetters: actor.deadLetters(Infinity) }))) {
    for (const { id, bytes } of deadLetters) {
      const record = people.recordOf(Buffer.from(bytes).toString());
      const left = people.asked.find(({ app, user, askedAt, doneAt }) => doneAt < Infinity && record !== null && record.answeredAt !== null && record.answeredAt < askedAt && record.lastSentAt < askedAt && isOf(record.text, { app, user }));
      if (left !== undefined) throw new Error(`erased: dead letter ${id} of partition ${partition} is of ${left.user}, who was erased by ${String(left.id)}`);
    }
  }
}
