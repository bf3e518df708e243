/** Which dead letters a request means: its parameters, their check, and the cursor of a page. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { LETTER_STATES, type LetterState } from './core/dead-letter.ts';
import { EngineError } from './core/errors.ts';
import { REJECT_CODES, SOURCE_NAMES, type RejectCode } from './core/record.ts';
import { flag, wholeNumber, z } from './core/schema.ts';
import type { LetterSelection } from './runtime/letter-work.ts';
import type { LetterFilter, LetterName, RecordPlace } from './threads/messages.ts';

/** The key of a record that says whose it is. */
export const SCOPE_KEY = appsflyerPipeline.partitionKey.scope;
export const LETTERS_LISTED_MAX = 1_000;
/** Letters named in one request. Chosen: the request line stays short. */
const NAMES_MAX = 500;

const sources = Object.entries(SOURCE_NAMES).map(([number, name]) => ({ number: Number(number), name }));

/** A list whose items are all known; the parameter may also be given several times. */
function listOf<Item>(known: readonly string[], itemOf: (text: string) => Item) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((value, context) => {
      const items = (typeof value === 'string' ? [value] : value).flatMap((text) => text.split(',')).map((text) => text.trim());
      for (const item of items) if (!known.includes(item)) context.addIssue({ code: 'custom', message: `${JSON.stringify(item)} is none of ${known.join(', ')}` });
      return items.map(itemOf);
    })
    .optional();
}

const time = () =>
  z
    .string()
    .max(40)
    .transform((text, context) => {
      const timeMs = /^[0-9]{12,15}$/.test(text) ? Number(text) : Date.parse(/T.*(Z|[+-][0-9:]+)$/.test(text) || !text.includes('T') ? text : `${text}Z`);
      if (!Number.isFinite(timeMs)) context.addIssue({ code: 'custom', message: 'write it like 2026-11-22T01:00:00Z, or as epoch milliseconds' });
      return timeMs;
    })
    .optional();

function filterShape(partitions: number) {
  return {
    partition: wholeNumber(0, partitions - 1).optional(),
    code: listOf(REJECT_CODES, (text) => text as RejectCode),
    source: listOf(sources.map(({ name }) => name), (text) => sources.find(({ name }) => name === text)?.number as number),
    state: listOf(LETTER_STATES, (text) => text as LetterState),
    app_id: z.string().min(1).max(200).optional().describe('as far as it can be found in what may be no JSON'),
    from: time().describe('received at this time or later'),
    to: time().describe('received before this time'),
  };
}

export const listSchema = (partitions: number) =>
  z.strictObject({
    ...filterShape(partitions),
    limit: wholeNumber(1, LETTERS_LISTED_MAX).default(100),
    cursor: z.string().max(40).optional().describe('of the answer before, all else unchanged'),
    whole: flag().default(false).describe('all bytes of each, not the first 4 KiB'),
  });

/** For what acts on letters: by name, by filter, or all of them, which must be said. */
export const selectionSchema = (partitions: number) =>
  z.strictObject({
    ...filterShape(partitions),
    letters: z.string().max(12_000).optional().describe(`by name: partition/id, joined by commas, ${NAMES_MAX} at most`),
    all: flag().default(false).describe('needed where nothing else says which'),
    dry_run: flag().default(false).describe('tells what would be done, and does nothing'),
    progress: flag().default(false).describe('a line of JSON each second, the last one with the end'),
  });

export const retrySchema = (partitions: number) => selectionSchema(partitions).extend({ again: flag().default(false).describe('also those that were sent again in vain') });

type Filtered = z.output<ReturnType<typeof listSchema>> | z.output<ReturnType<typeof selectionSchema>>;

export function filterOf({ partition, code, source, state, app_id: app, from, to }: Filtered): LetterFilter {
  return { partition: partition ?? null, codes: code ?? null, sources: source ?? null, states: state ?? null, scope: app ?? null, fromMs: from ?? -Infinity, toMs: to ?? Infinity };
}

/** Raises QUERY_INVALID. */
export function selectionOf(query: z.output<ReturnType<typeof selectionSchema>>): LetterSelection {
  const { partition, code, source, state, app_id: app, from, to, letters, all } = query;
  const isFiltered = [partition, code, source, state, app, from, to].some((value) => value !== undefined);
  if ([letters !== undefined, isFiltered, all].filter(Boolean).length !== 1) {
    throw new EngineError('QUERY_INVALID', 'say which letters are meant: letters=<partition>/<id>,… or one or more of partition, code, source, state, app_id, from and to, or all=true');
  }
  return letters === undefined ? { filter: filterOf(query) } : { names: namesOf(letters) };
}

function namesOf(text: string): LetterName[] {
  const names = text.split(',').map((name) => {
    const found = /^([0-9]{1,4})\/([0-9]{1,15})$/.exec(name.trim());
    if (found === null) throw new EngineError('QUERY_INVALID', `letters: ${JSON.stringify(name.slice(0, 100))}: write a letter as partition/id, as /v1/dead-letters tells them`);
    return { partition: Number(found[1]), id: Number(found[2]) };
  });
  if (names.length > NAMES_MAX) throw new EngineError('QUERY_INVALID', `letters: ${names.length} are named: at most ${NAMES_MAX} in one request`);
  return names;
}

export const cursorOf = (place: RecordPlace | null): string | null => (place === null ? null : `${place.batchSequence}.${place.index}`);

/** Raises QUERY_INVALID. */
export function placeOf(cursor: string | undefined): RecordPlace | null {
  if (cursor === undefined) return null;
  const found = /^([0-9]{1,15})\.([0-9]{1,10})$/.exec(cursor);
  if (found === null) throw new EngineError('QUERY_INVALID', `cursor: ${JSON.stringify(cursor)}: give the next_cursor of the answer before`);
  return { batchSequence: Number(found[1]), index: Number(found[2]) };
}
