/** Dead letters as people ask for them: pages of them, one whole, and the last ones for the live page. */

import { SOURCE_NAMES, VERDICT_NAMES, type RecordSource } from './core/record.ts';
import { cursorOf, SCOPE_KEY } from './letter-query.ts';
import type { Daemon } from './main.ts';
import { errorReply, type AdminReply } from './runtime/admin-server.ts';
import { EVERY_LETTER, LETTER_SHOWN_BYTES_MAX, LETTERS_BYTES_MAX, letterState, mergePages } from './runtime/letter-answers.ts';
import { ERASED } from './shown-bytes.ts';
import type { LetterFilter, LetterPage, RecordPlace, ShownLetter, WholeLetter } from './threads/messages.ts';

/** On the live page, which is drawn each second. */
const LAST_REJECTS = 8;
const LAST_REJECTS_MS = 500;

/** With all bytes of each letter a page ends early: it is one string in memory. */
const WHOLE_BYTES_MAX = 4 * 1024 ** 2;

export interface LetterListing {
  readonly limit: number;
  readonly filter?: LetterFilter;
  readonly before?: RecordPlace | null;
  readonly whole?: boolean;
}

export async function deadLetters(view: Daemon, { limit, filter = EVERY_LETTER, before = null, whole = false }: LetterListing): Promise<{ letters: object[]; next_cursor: string | null }> {
  const pages = await view.engine.asker.ask<LetterPage>({
    what: 'dead-letters',
    limit,
    before,
    filter,
    scopeKey: SCOPE_KEY,
    shownBytesMax: whole ? Infinity : LETTER_SHOWN_BYTES_MAX,
    bytesMax: whole ? WHOLE_BYTES_MAX : LETTERS_BYTES_MAX,
  });
  const { letters, lookedTo } = mergePages(pages, limit);
  return { letters: letters.map((letter) => described(view, letter)), next_cursor: cursorOf(lookedTo) };
}

function described({ shownBytes, erasures }: Daemon, letter: ShownLetter): object {
  const bytes = Buffer.from(letter.bytes.buffer, letter.bytes.byteOffset, letter.bytes.byteLength);
  // The fold takes it away in a moment.
  const isErased = erasures?.hides(bytes, letter.batchSequence) ?? false;
  return {
    code: letter.code,
    received_at: new Date(letter.receivedAtMs).toISOString(),
    source: SOURCE_NAMES[letter.source as RecordSource],
    partition: letter.partition,
    id: letter.id,
    batch: letter.batchSequence,
    index: letter.index,
    size: letter.size,
    app_id: letter.scope,
    state: letterState(letter),
    retry: letter.retry === null ? null : { attempts: letter.retry.attempts, outcome: VERDICT_NAMES[letter.retry.verdict], code: letter.retry.code, at: new Date(letter.retry.atMs).toISOString() },
    bytes: isErased ? ERASED : shownBytes(bytes, bytes.byteLength, letter.receivedAtMs),
    // What is no UTF-8 would not survive as text; and nobody could find the personal parts in it.
    ...(letter.isUtf8 || shownBytes.hides || isErased ? {} : { base64: bytes.toString('base64') }),
  };
}

/** All that is kept of one, byte for byte. */
export async function deadLetter(view: Daemon, partition: number, id: number): Promise<AdminReply> {
  const answers = await view.engine.asker.ask<WholeLetter | null>({ what: 'dead-letter', partition, id });
  const letter = answers.find((answer) => answer !== null);
  if (letter === undefined || letter === null) return errorReply(404, 'NOT_FOUND', `partition ${partition} has no dead letter ${id}: it has given way to newer ones, or never was`);
  return {
    contentType: 'application/octet-stream',
    // The bytes are a stranger's: no browser may take them for a page.
    headers: { 'x-size': String(letter.size), 'x-content-type-options': 'nosniff', 'content-disposition': `attachment; filename="dead-letter-${partition}-${id}"` },
    body: letter.bytes,
  };
}

/** The last rejected records for all clients of the live page together: asked for when there are more, and seldom. */
export class LastRejects {
  readonly #view: Daemon;
  /** Letters that had come, and gone by hand or with their user, and erasures under way, when they were asked for. */
  #rejected = '';
  #askedAtMs = -Infinity;
  #letters: Promise<object[]> = Promise.resolve([]);

  constructor(view: Daemon) {
    this.#view = view;
  }

  letters(): Promise<object[]> {
    const rejected = `${this.#view.engine.live.conservation().rejected} ${this.#view.engine.sumOf('deadLettersDropped')} ${this.#view.erasures?.openCount ?? 0}`;
    const nowMs = performance.now();
    if (rejected !== this.#rejected && nowMs - this.#askedAtMs >= LAST_REJECTS_MS) {
      this.#rejected = rejected;
      this.#askedAtMs = nowMs;
      this.#letters = deadLetters(this.#view, { limit: LAST_REJECTS }).then(
        ({ letters }) => letters,
        () => {
          this.#rejected = '';
          return [];
        },
      );
    }
    return this.#letters;
  }
}
