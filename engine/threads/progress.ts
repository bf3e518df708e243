/**
 * What an actor thread shows of its work in shared words: that it moves, and where it is. Main asks it there to leave.
 *
 * A thread raises its beats at each step it makes: a file opened, an entry restored, a batch folded, a turn of its idle loop (at least
 * each second). One that is stuck in a call raises nothing, and needs nothing of its own to say so. One writer per word.
 */

/** Where a thread is. What a stall is reported with; see {@link STAGE_NAMES}. */
export const Stage = { starting: 0, opening: 1, restoring: 2, waiting: 3, replaying: 4, folding: 5, reporting: 6, checkpointing: 7, idle: 8, leaving: 9 } as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

export const STAGE_NAMES = Object.keys(Stage);

const BEATS = 0;
const STAGE = 1;
const LEAVE = 2;
const COPYING = 3;
/** Int32 words of one thread. */
export const PROGRESS_WORDS = 4;

export class Progress {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Before a thread starts, and only then. */
  reset(): void {
    this.#words.fill(0);
  }

  beat(): void {
    Atomics.add(this.#words, BEATS, 1);
  }

  /** A beat that also says what comes next. */
  enter(stage: Stage): void {
    Atomics.store(this.#words, STAGE, stage);
    this.beat();
  }

  /** Wraps around; only whether it has changed means anything. */
  get beats(): number {
    return Atomics.load(this.#words, BEATS);
  }

  get stage(): string {
    return STAGE_NAMES[Atomics.load(this.#words, STAGE)] ?? 'unknown';
  }

  /** By main: this thread alone is to end where it stands. Wake it afterwards. */
  askToLeave(): void {
    Atomics.store(this.#words, LEAVE, 1);
  }

  get isAskedToLeave(): boolean {
    return Atomics.load(this.#words, LEAVE) !== 0;
  }

  /** A state file is being copied: terminating the thread would abort the process. */
  set isCopying(copying: boolean) {
    Atomics.store(this.#words, COPYING, copying ? 1 : 0);
  }

  get isCopying(): boolean {
    return Atomics.load(this.#words, COPYING) !== 0;
  }
}
