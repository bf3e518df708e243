/** What a transaction of the live store says beside its cells. */

import { decodeStored, unpack } from '../../engine/core/codec.ts';
import type { MergeOutput } from '../../engine/core/feed.ts';
import type { Conservation } from '../../engine/core/record.ts';
import { emptyConservation } from '../../engine/core/record.ts';

export interface LiveState {
  readonly latest: number;
  /** By partition. */
  readonly sequences: readonly number[];
  readonly finalUpToMs: number;
  /** Late cells of hours that end at or before this have been told again since their hour became final. Missing in older states. */
  readonly lateFinalUpToMs?: number;
  readonly watermarkMs: number;
  readonly asOfMs: number;
  readonly counters: Conservation;
}

export const newState = (partitionCount: number): LiveState => ({
  latest: 0,
  sequences: new Array<number>(partitionCount).fill(0),
  finalUpToMs: 0,
  watermarkMs: -1,
  asOfMs: -1,
  counters: emptyConservation(),
});

/** Nothing in it goes back, whatever the output says. */
export function nextState({ sequences, finalUpToMs, watermarkMs }: LiveState, output: MergeOutput, next: Pick<LiveState, 'latest' | 'lateFinalUpToMs' | 'asOfMs'>): LiveState {
  return {
    ...next,
    sequences: sequences.map((sequence, partition) => Math.max(sequence, output.settledSequences.get(partition) ?? 0)),
    finalUpToMs: Math.max(finalUpToMs, output.finalUpToMs),
    watermarkMs: Math.max(watermarkMs, output.watermarkMs),
    counters: output.counters,
  };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Raises STATE_CORRUPT. */
export const decodeState = (value: Uint8Array, partitionCount: number): LiveState =>
  decodeStored('the state of the live store', () => {
    const state = unpack<LiveState>(value);
    if (!isWhole(state.latest) || !Array.isArray(state.sequences) || state.sequences.length !== partitionCount || !state.sequences.every(isWhole)) throw new TypeError('its change number or its partitions are missing');
    return state;
  });

/** The change number that a sink has settled. Raises STATE_CORRUPT. */
export const decodeMark = (value: Uint8Array): number =>
  decodeStored('the mark of a sink', () => {
    const mark = unpack<unknown>(value);
    if (!isWhole(mark)) throw new TypeError('it is no change number');
    return mark;
  });
