/** What goes wrong in a story, and when: a list made from the seed alone, so that single misfortunes can be left out and the rest stays. */

import { seededRandom } from '../unit/log/faulty-disk.ts';

/** By kind: how often it comes, and what it is. */
export const MISFORTUNES = {
  'process-death': { weight: 10, meaning: 'the process dies, at once or before its n-th step' },
  'power-cut': { weight: 14, meaning: 'the power goes, at once or before the n-th step: unsynced writes are lost or torn, unflushed transactions roll back' },
  'orderly-stop': { weight: 6, meaning: 'the daemon drains, and starts again with other settings' },
  'thread-death': { weight: 14, meaning: 'an actor thread dies, at once or before the n-th step, and is replaced' },
  'door-death': { weight: 8, meaning: 'the ingress thread dies, at once or before the n-th step, and is replaced' },
  'write-error': { weight: 5, meaning: 'the next writes fail (EIO or ENOSPC)' },
  'sync-error': { weight: 6, meaning: 'the next syncs fail, and leave the pages looking clean' },
  'read-error': { weight: 4, meaning: 'the next reads fail (EIO)' },
  'folder-error': { weight: 4, meaning: 'the next renames, removals and syncs of folders fail (EIO)' },
  'short-writes': { weight: 4, meaning: 'the disk takes fewer bytes than it is given' },
  'full-disk': { weight: 3, meaning: 'every write fails with ENOSPC for a while' },
  'slow-disk': { weight: 6, meaning: 'syncs take up to half a second for a while' },
  'no-descriptors': { weight: 2, meaning: 'no file can be opened for a while' },
  'store-fails': { weight: 7, meaning: 'a transaction of a partition or of the live store is refused' },
  'bit-rot': { weight: 4, meaning: 'the process dies, and a bit of an old segment has turned when it comes back; later it is repaired' },
  'sink-away': { weight: 5, meaning: 'the sink does not answer for a while' },
  'sink-mute': { weight: 4, meaning: 'the sink applies what it is given and fails to say so' },
  'sink-hangs': { weight: 4, meaning: 'the sink takes longer than the writer waits; what it was given lands late' },
  'sink-forgets': { weight: 3, meaning: 'the sink is flushed' },
  'sink-restored': { weight: 3, meaning: 'the sink is put back to an older copy of itself' },
  'lake-away': { weight: 4, meaning: 'the lake does not answer for a while' },
  'lake-errors': { weight: 3, meaning: 'the bucket answers 500 or 503 for a while' },
  'lake-mute': { weight: 4, meaning: 'the bucket does what it is told and fails to say so' },
  'lake-hangs': { weight: 4, meaning: 'what is sent to the bucket lands late and out of order' },
  'lake-forgets': { weight: 3, meaning: 'the hours of the lake, and its marker, are gone' },
  'lake-restored': { weight: 3, meaning: 'the hours of the lake, and its marker, are put back to an older copy' },
  'clock-jump': { weight: 7, meaning: 'the wall clock steps by up to three hours' },
  'letters-retried': { weight: 9, meaning: 'dead letters are sent again, some of them twice' },
  'letters-dropped': { weight: 3, meaning: 'dead letters are dropped' },
  /** Drawn by itself, in some stories: the others stay as they were. */
  erasure: { weight: 0, meaning: 'somebody asks to be erased, again and again until the daemon has said yes' },
  silence: { weight: 3, meaning: 'no sender sends for some minutes, in a long story for hours' },
} as const;
export type MisfortuneKind = keyof typeof MISFORTUNES;

export interface Misfortune {
  /** From 1, in order of time. */
  readonly number: number;
  /** Since the start of the story. */
  readonly atMs: number;
  readonly kind: MisfortuneKind;
  /** Two dice, each at least 0 and below 1: how much of it, and of what. */
  readonly extent: number;
  readonly choice: number;
}

const COUNT_MAX = 18;
const WITH_ERASURES = 0.25;
const ERASURES_MAX = 4;
/** Most senders have sent all by then. */
const ERASED_BEFORE_MS = 12_000;

export function scheduleOf(seed: number): Misfortune[] {
  const random = seededRandom(seed ^ 0x6d697366);
  const kinds = Object.keys(MISFORTUNES) as MisfortuneKind[];
  const weights: number[] = kinds.map((kind) => MISFORTUNES[kind].weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let atMs = 0;
  const drawn = Array.from({ length: 2 + Math.floor(random() * (COUNT_MAX - 1)) }, (_, index) => {
    // Some follow each other at once, which is when recovery itself is hit.
    atMs += random() < 0.35 ? Math.floor(random() * 60) : 50 + Math.floor(random() * 4_000);
    let dice = random() * total;
    const at = weights.findIndex((weight) => (dice -= weight) < 0);
    return { number: index + 1, atMs, kind: kinds[at] as MisfortuneKind, extent: random(), choice: random() };
  });
  return withErasures(seed, drawn);
}

/** From dice of their own: the others fall as they did before there were any. */
export const hasErasures = (seed: number): boolean => erasuresOf(seed).length > 0;

function erasuresOf(seed: number): Omit<Misfortune, 'number'>[] {
  const random = seededRandom(seed ^ 0x676f6e65);
  if (random() >= WITH_ERASURES) return [];
  return Array.from({ length: 1 + Math.floor(random() * ERASURES_MAX) }, () => ({ atMs: Math.floor(random() * ERASED_BEFORE_MS), kind: 'erasure', extent: random(), choice: random() }));
}

function withErasures(seed: number, drawn: Misfortune[]): Misfortune[] {
  const erasures = erasuresOf(seed);
  if (erasures.length === 0) return drawn;
  return [...drawn, ...erasures].sort((left, right) => left.atMs - right.atMs).map((one, index) => ({ ...one, number: index + 1 }));
}

export const tell = ({ number, atMs, kind, extent, choice }: Misfortune): string => `${String(number).padStart(3)}  ${String(atMs).padStart(6)} ms  ${kind} (${extent.toFixed(2)}, ${choice.toFixed(2)}): ${MISFORTUNES[kind].meaning}`;

/** Numbers that may be left out: `fails` says whether the story still ends badly without them. Halves first, then single ones. */
export async function shrink(numbers: readonly number[], fails: (without: ReadonlySet<number>) => Promise<boolean>, triesMax = 200): Promise<Set<number>> {
  const without = new Set<number>();
  let tries = 0;
  for (let size = Math.ceil(numbers.length / 2); size >= 1 && tries < triesMax; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    const left = numbers.filter((number) => !without.has(number));
    for (let from = 0; from < left.length && tries < triesMax; from += size) {
      const fewer = new Set([...without, ...left.slice(from, from + size)]);
      tries++;
      if (await fails(fewer)) for (const number of fewer) without.add(number);
    }
  }
  return without;
}
