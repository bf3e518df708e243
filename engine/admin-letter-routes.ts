/** The admin routes of dead letters: pages, one whole, and what acts on many, which answers once it is done or by lines while it goes on. */

import { deadLetter, deadLetters } from './admin-dead-letters.ts';
import { EngineError } from './core/errors.ts';
import { SOURCE_NAMES } from './core/record.ts';
import { wholeNumber, z } from './core/schema.ts';
import { parseQuery } from './admin-query.ts';
import { filterOf, listSchema, placeOf, retrySchema, selectionOf, selectionSchema } from './letter-query.ts';
import type { Daemon } from './main.ts';
import { json, type AdminReply, type AdminRequest, type AdminRoute } from './runtime/admin-server.ts';
import { LETTER_SHOWN_BYTES_MAX, LETTERS_BYTES_MAX } from './runtime/letter-answers.ts';
import { emptyRetryReport, SKIPPED, type DropReport } from './runtime/letter-work.ts';
import { workReply } from './runtime/work-reply.ts';

const JSON_TYPE = 'application/json';
const MIB = 1024 ** 2;

export function letterRoutes(view: Daemon): AdminRoute[] {
  const { partitions } = view.settings;
  const letterSchema = z.strictObject({ partition: wholeNumber(0, partitions - 1), id: wholeNumber(1) });
  const listing = listSchema(partitions);
  return [
    {
      method: 'GET',
      path: '/v1/dead-letters',
      summary: 'Rejected records: code, source, time, what became of a retry, and the beginning of their bytes',
      query: listing,
      answers: {
        200: `dead letters, newest first, after looking through ${LETTERS_BYTES_MAX / MIB} MiB of records at most: next_cursor tells where to go on, null where nothing is left, and a page may be short; source is one of ${Object.values(SOURCE_NAMES).join(', ')}; size is the record's own, bytes its first ${LETTER_SHOWN_BYTES_MAX} (all with whole=true); base64 has them where they are no UTF-8`,
        400: 'a parameter is wrong: key, value and fix',
      },
      contentType: JSON_TYPE,
      handle: async (request) => {
        const query = parseQuery(listing, request.query);
        return json(await deadLetters(view, { limit: query.limit, filter: filterOf(query), before: placeOf(query.cursor), whole: query.whole }));
      },
    },
    {
      method: 'GET',
      path: '/v1/dead-letters/:partition/:id',
      summary: 'One rejected record, byte for byte, by the partition and id that /v1/dead-letters tells',
      params: letterSchema,
      answers: { 200: 'the bytes as they came; x-size tells how many there were, should fewer have been kept', 400: 'no partition or no id', 404: 'there is none, or it has left' },
      contentType: 'application/octet-stream',
      handle: (request) => {
        const { partition, id } = parseQuery(letterSchema, request.params);
        return deadLetter(view, partition, id);
      },
    },
    ...workRoutes(view),
  ];
}

function workRoutes(view: Daemon): AdminRoute[] {
  const retry = retrySchema(view.settings.partitions);
  const drop = selectionSchema(view.settings.partitions);
  return [
    {
      method: 'POST',
      path: '/v1/dead-letters/retry',
      summary: 'Send rejected records again, through the journal: each counts once, however often it is asked for',
      query: retry,
      answers: {
        200: `what became of them: outcomes by verdict (pending: durable, not folded in time), rejected by code, skipped by reason (${SKIPPED.join(', ')}), and the first letters one by one`,
        400: 'a parameter is wrong, or nothing says which letters',
        503: 'the journal takes no records now; what was sent before counts, and all may be sent again',
      },
      contentType: JSON_TYPE,
      lasting: true,
      handle: (request) => {
        const query = parseQuery(retry, request.query);
        const report = emptyRetryReport();
        const work = start(view, request, (isCancelled) => view.letters.retry({ selection: selectionOf(query), again: query.again, isDryRun: query.dry_run, isCancelled }, report));
        return reply(work, query.progress, () => ({ selected: report.selected, retried: report.retried }));
      },
    },
    {
      method: 'POST',
      path: '/v1/dead-letters/drop',
      summary: 'Remove rejected records for good, by a record in the journal',
      query: drop,
      answers: { 200: 'how many', 400: 'a parameter is wrong, or nothing says which letters', 503: 'the journal takes no records now' },
      contentType: JSON_TYPE,
      lasting: true,
      handle: (request) => {
        const query = parseQuery(drop, request.query);
        const report: DropReport = { selected: 0, dropped: 0, cancelled: false };
        const work = start(view, request, (isCancelled) => view.letters.drop({ selection: selectionOf(query), isDryRun: query.dry_run, isCancelled }, report));
        return reply(work, query.progress, () => ({ selected: report.selected, dropped: report.dropped }));
      },
    },
  ];
}

/** A client that leaves ends its work, between two pages. */
function start<Report extends object>(view: Daemon, request: AdminRequest, work: (isCancelled: () => boolean) => Promise<Report>): Promise<Report> {
  if (!view.state.ready) throw new EngineError('NOT_READY', 'recovery has not finished: try again shortly');
  let hasLeft = false;
  request.onClose(() => {
    hasLeft = true;
  });
  return work(() => hasLeft || view.state.draining);
}

async function reply(work: Promise<object>, isTold: boolean, soFar: () => object): Promise<AdminReply> {
  return isTold ? workReply(work, () => Promise.resolve(soFar())) : json(await work);
}
