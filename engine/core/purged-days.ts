/** Which records the purges of a list mean: all of a scope whose time lies in their days, up to the record that each reaches to. Pure. */

import { isPurge, type PlacedErasure, type Purge } from './erasure.ts';

type PlacedPurge = readonly [upTo: number, purge: Purge];

export class PurgedDays {
  readonly #purges: readonly PlacedPurge[];

  /** Erasures of users in it mean nothing here. */
  constructor(erasures: readonly PlacedErasure[]) {
    this.#purges = erasures.filter((placed): placed is PlacedPurge => isPurge(placed[1]));
  }

  get isEmpty(): boolean {
    return this.#purges.length === 0;
  }

  /** `number`: the record's own, as the purges are placed. A record that names no scope is of none: its neighbours of other scopes must stay. */
  find({ scope, timeMs }: { readonly scope: string | null; readonly timeMs: number }, number: number): Purge | null {
    for (const [upTo, purge] of this.#purges) {
      if (number <= upTo && scope === purge.scope && isInDays(purge.days, timeMs)) return purge;
    }
    return null;
  }
}

export const isInDays = ({ fromMs, toMs }: Purge['days'], timeMs: number): boolean => timeMs >= fromMs && timeMs < toMs;
