/**
 * From a whole body to records in the journal's open batch, by route. Nothing is parsed here: the partitioner looks at each record's
 * bytes, and what it sees to be malformed is journaled with a flag, so that it ends in the dead-letter store.
 *
 * Hot path: 100 K pushes a second, at most 1.5 µs a push with exchange, batcher and key search; bench/load/scenarios/peak.ts. No allocation.
 */

import { RecordFlag, type RecordFlag as RecordFlags } from '../../engine/core/record.ts';
import type { Exchange } from './exchange.ts';
import { formToJson, looksLikeForm } from './form.ts';
import { JOURNAL_BUSY, PUSH_NOT_JSON, PUSH_NOT_OBJECT, PUSH_OK, REFUSED, eventsReply, tooManyRecords, type RejectedRecord, type Reply } from './replies.ts';
import { withAppId } from './s2s.ts';
import { splitRecords, type Spans } from './split.ts';
import { takeCosts } from './take-costs.ts';

const OPEN_BRACE = 0x7b;
/** Rejected records listed in one answer; all are counted. Chosen: an answer of at most some 40 KB. */
const REJECTED_LISTED_MAX = 1_000;
/** Charged per record of a request besides its bytes: what framing adds to each in the journal's batch. Derived from the journal's format, rounded up. */
const RECORD_FRAME_BYTES = 32;

/** How far the records of one request have come. `body[0, ...)` holds them, `spans` says where. */
export interface EventsProgress {
  readonly spans: Spans;
  body: Buffer;
  next: number;
  rejectedCount: number;
  readonly rejected: RejectedRecord[];
  /** Apps that the request has been let in with, where apps have a limit: a request is refused for what came before it, not for what it holds. */
  readonly apps: Set<number> | null;
}

/** Uses `bytes[0, length)` up before it returns, or has the exchange keep them. */
export function takeBody(exchange: Exchange, bytes: Buffer, length: number): void {
  switch (exchange.route.kind) {
    case 'push':
      if ((length > 0 && bytes[0] === OPEN_BRACE) || !looksLikeForm(bytes, 0, length)) takeOne(exchange, bytes, length, RecordFlag.none);
      else takeForm(exchange, bytes.toString('utf8', 0, length), bytes, length);
      break;
    case 'push_get':
      takeQuery(exchange);
      break;
    case 's2s':
      takeS2s(exchange, bytes, length);
      break;
    case 'events':
      takeEvents(exchange, bytes, length);
      break;
    case 'costs':
      takeCosts(exchange, bytes, length);
      break;
    case 'other':
      throw new Error('bug: a route with a fixed answer takes no body');
  }
}

/** Goes on where a full batch had stopped it. */
export function resumeEvents(exchange: Exchange): void {
  if (exchange.progress === null) throw new Error('bug: a request without records to append was parked');
  appendEvents(exchange, exchange.progress);
}

function takeOne(exchange: Exchange, bytes: Buffer, length: number, known: RecordFlags): void {
  const { partitioner } = exchange.intake;
  partitioner.locate(bytes, 0, length);
  const flags = partitioner.flags | known;
  const { gate } = exchange.intake;
  const tooFast = gate === null || !gate.limitsApps ? null : gate.takeOfApp(exchange.route, partitioner.scopeHash);
  if (tooFast !== null) exchange.conclude(tooFast);
  else if (!exchange.append(partitioner.partition, flags, bytes, 0, length)) exchange.conclude(JOURNAL_BUSY);
  else if (flags === RecordFlag.none) exchange.conclude(PUSH_OK);
  else exchange.conclude((flags & RecordFlag.malformed) === 0 ? PUSH_NOT_OBJECT : PUSH_NOT_JSON);
}

/** The journaled record tells its app by itself: the one of the path, last, so that it wins over one that the body names. */
function takeS2s(exchange: Exchange, bytes: Buffer, length: number): void {
  const { partitioner, options, tooLarge } = exchange.intake;
  const record = withAppId(bytes, length, exchange.appId);
  if (record !== null) partitioner.locate(record, 0, record.byteLength);
  // What is no object keeps its own bytes.
  if (record === null || partitioner.flags !== RecordFlag.none) takeOne(exchange, bytes, length, RecordFlag.none);
  else if (record.byteLength > options.record_bytes_max) exchange.conclude(tooLarge.s2s);
  else if (!exchange.charge(record.byteLength)) exchange.conclude(REFUSED.BUSY);
  else takeOne(exchange, record, record.byteLength, RecordFlag.none);
}

function takeQuery(exchange: Exchange): void {
  const bytes = Buffer.from(exchange.query, 'utf8');
  takeForm(exchange, exchange.query, bytes, bytes.byteLength);
}

/** `bytes[0, length)`: the text as it came. */
function takeForm(exchange: Exchange, text: string, bytes: Buffer, length: number): void {
  const object = formToJson(text);
  if (object === null) {
    // No message has so many fields: kept as it came, as malformed.
    takeOne(exchange, bytes, length, RecordFlag.malformed);
  } else if (object.byteLength > exchange.intake.options.record_bytes_max) {
    exchange.conclude(exchange.intake.tooLarge.push);
  } else if (!exchange.charge(object.byteLength)) {
    exchange.conclude(REFUSED.BUSY);
  } else {
    takeOne(exchange, object, object.byteLength, RecordFlag.none);
  }
}

function takeEvents(exchange: Exchange, bytes: Buffer, length: number): void {
  const { options } = exchange.intake;
  const spans = splitRecords(bytes, 0, length, options.events_records_max, exchange.format === 'lines');
  if (spans === null) {
    exchange.conclude(tooManyRecords(options.events_records_max));
    return;
  }
  if (!exchange.charge(spans.count * RECORD_FRAME_BYTES)) {
    exchange.conclude(JOURNAL_BUSY);
    return;
  }
  const { gate } = exchange.intake;
  gate?.charge(exchange.credentialKey, spans.count - 1);
  exchange.appending = true;
  appendEvents(exchange, { spans, body: bytes, next: 0, rejectedCount: 0, rejected: [], apps: gate?.limitsApps === true ? new Set() : null });
}

function appendEvents(exchange: Exchange, progress: EventsProgress): void {
  const { partitioner, batcher, options } = exchange.intake;
  const { spans, body } = progress;
  for (; progress.next < spans.count; progress.next++) {
    const start = spans.start(progress.next);
    // Of one that is too large the head alone is kept; the others must not share its fate.
    const end = Math.min(spans.end(progress.next), start + options.record_bytes_max);
    partitioner.locate(body, start, end);
    const flags = end === spans.end(progress.next) ? partitioner.flags : RecordFlag.tooLarge;
    if (progress.apps !== null) {
      const tooFast = appLimit(exchange, progress.apps, partitioner.scopeHash);
      if (tooFast !== null) {
        // Some of its records may be durable: sent again they are known.
        exchange.conclude(tooFast);
        return;
      }
    }
    if (!exchange.append(partitioner.partition, flags, body, start, end)) {
      // The batch is full and the disk slow: the rest waits, in the order of arrival.
      const kept = exchange.keepBody(body, spans.end(spans.count - 1));
      if (kept === null) {
        exchange.conclude(JOURNAL_BUSY);
        return;
      }
      progress.body = kept;
      exchange.progress = progress;
      batcher.park(exchange);
      return;
    }
    if (flags === RecordFlag.none) continue;
    progress.rejectedCount++;
    if (progress.rejected.length < REJECTED_LISTED_MAX) progress.rejected.push({ index: progress.next, code: codeOf(flags) });
  }
  exchange.conclude(eventsReply(spans.count, progress.rejectedCount, progress.rejected));
}

function appLimit({ intake: { gate }, route }: Exchange, apps: Set<number>, scopeHash: number): Reply | null {
  if (gate === null) return null;
  if (apps.has(scopeHash)) {
    gate.chargeApp(scopeHash);
    return null;
  }
  apps.add(scopeHash);
  return gate.takeOfApp(route, scopeHash);
}

/** Of a record that the door rejects. */
function codeOf(flags: RecordFlags): RejectedRecord['code'] {
  if ((flags & RecordFlag.tooLarge) !== 0) return 'TOO_LARGE';
  return (flags & RecordFlag.malformed) === 0 ? 'NOT_OBJECT' : 'NOT_JSON';
}
