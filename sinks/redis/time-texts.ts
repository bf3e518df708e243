/** Texts of times, kept: the values of one write have few windows and fewer moments of change, and an ISO date costs as much as a small value. */

/** Chosen: more windows than a write has that is not a back-fill. */
const TEXTS_MAX = 64;

export class TimeTexts {
  readonly #textOf: (ms: number) => string;
  readonly #texts = new Map<number, string>();

  constructor(textOf: (ms: number) => string) {
    this.#textOf = textOf;
  }

  of(ms: number): string {
    let text = this.#texts.get(ms);
    if (text === undefined) {
      text = this.#textOf(ms);
      if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
      this.#texts.set(ms, text);
    }
    return text;
  }
}
