import { describe, expect, test } from 'vitest';
import { userKey, type PlacedErasure, type Purge, type RecordUsers } from '../../../engine/core/erasure.ts';
import type { SlotShare } from '../../../engine/core/lake-slot.ts';
import type { LogBatch, LogSlice, RecordCursor } from '../../../engine/core/log.ts';
import type { LakeContext } from '../../../engine/core/pipeline.ts';
import { textOf } from '../../support/text-bytes.ts';
import { Verdict } from '../../../engine/core/record.ts';
import { NO_RESOURCES, type RuleResources } from '../../../engine/core/rule-resources.ts';
import type { DedupeMode } from '../../../engine/core/rules.ts';
import { offset, partitionId } from '../../../engine/core/types.ts';
import { VerdictLogWriter } from '../../../engine/core/verdict-log.ts';
import { DEFAULT_EVENTS_BOUNDS } from '../../../sinks/lake/events-encoder.ts';
import { encodeSlot, type SlotFiles } from '../../../sinks/lake/encode-slot.ts';

interface TestEvent {
  text: string;
}

const SLOT = { startMs: Date.UTC(2026, 10, 22, 1), part: 0 };
const { accepted, late, duplicate, rejected } = Verdict;

/** Batches of one-character records: `records[partition]` of each batch. */
class TestLog {
  readonly batches: readonly (readonly string[])[];
  readonly reads: string[] = [];

  constructor(batches: readonly (readonly string[])[]) {
    this.batches = batches;
  }

  batchAt(position: number, lane: { first: number; count: number }): LogBatch {
    this.reads.push(`${lane.first}@${position}`);
    const records = this.batches[position / 8]?.[lane.first] ?? '';
    const slice: LogSlice = { partition: partitionId(lane.first), recordCount: records.length, start: 0, end: records.length, firstIndex: 0 };
    return {
      offset: offset(position),
      endOffset: offset(position + 8),
      journal: 0,
      sequence: position / 8,
      receivedAtMs: 1_000 + position,
      runningTimeMs: 0,
      recordCount: records.length,
      bytes: Buffer.from(records),
      slices: records === '' ? [] : [slice],
      controls: [],
    };
  }
}

class TestCursor implements RecordCursor {
  start = -1;
  end = 0;
  index = -1;
  readonly source = 1;
  readonly flags = 0;
  readonly letterId = 0;
  readonly attempt = 0;
  #count = 0;

  reset(_batch: LogBatch, slice: LogSlice): void {
    this.#count = slice.recordCount;
    this.start = -1;
    this.index = -1;
  }

  next(): boolean {
    this.start++;
    this.end = this.start + 1;
    this.index++;
    return this.start < this.#count;
  }
}

/** One share from [batch number, first sequence, verdicts]. */
function shareOf(partition: number, entries: readonly [number, number, readonly number[]][], dedupe: DedupeMode = 'push-ms'): SlotShare {
  const writer = new VerdictLogWriter();
  let rowCount = 0;
  for (const [batch, sequence, verdicts] of entries) {
    writer.append(offset(batch * 8), sequence, Uint8Array.from(verdicts), verdicts.length);
    rowCount += verdicts.filter((verdict) => verdict === accepted || verdict === late).length;
  }
  return { partition, slot: SLOT, dedupe, rowCount, entries: writer.bytes() };
}

interface Row extends LakeContext {
  readonly text: string;
}

function run(log: TestLog, shares: readonly SlotShare[], { recordUsers, resources, scopeOf }: { recordUsers?: (bytes: Buffer, start: number, end: number) => RecordUsers; resources?: RuleResources; scopeOf?: (event: TestEvent) => string } = {}): { rows: Row[]; made: SlotFiles } {
  const rows: Row[] = [];
  const event: TestEvent = { text: '' };
  const made = encodeSlot<TestEvent, null>({
    slot: SLOT,
    shares,
    lookup: log,
    cursor: new TestCursor(),
    ...(resources !== undefined && { resources }),
    pipeline: {
      ...(recordUsers !== undefined && { recordUsers }),
      ...(scopeOf !== undefined && { scopeOf }),
      // One reused object, as decoders may.
      decode: (bytes, start, end) => {
        event.text = bytes.toString('utf8', start, end);
        return event.text === '!' ? 'NOT_JSON' : event;
      },
      eventTimeMs: () => SLOT.startMs,
      fingerprint: ({ text }, _mode, out) => {
        out.set([0xdeadbeef, 0, 1, text.charCodeAt(0)]);
        return text !== '?';
      },
      lakeColumns: [
        {
          name: 'text',
          type: 'text',
          of: ({ text }, context) => {
            rows.push({ ...context, eventId: textOf(context.eventId), text });
            return text;
          },
        },
      ],
    },
    bounds: DEFAULT_EVENTS_BOUNDS,
    encodeTable: () => new Uint8Array(5),
    emit: () => undefined,
  });
  return { rows, made };
}

describe('encoding a slot', () => {
  test('writes accepted and late records, in partition order and then in log order, and no other', () => {
    const log = new TestLog([['abc', 'd'], ['ef', ''], ['', 'ghij']]);
    const shares = [
      shareOf(0, [[0, 1, [accepted, duplicate, late]], [1, 4, [rejected, accepted]]]),
      shareOf(1, [[0, 7, [accepted]], [2, 9, [duplicate, accepted, rejected, late]]]),
    ];
    const { rows, made } = run(log, shares);
    expect(rows.map(({ text, late: isLate }) => text + (isLate ? '+' : ''))).toEqual(['a', 'c+', 'f', 'd', 'h', 'j+']);
    expect(made).toEqual({ files: 1, bytes: 5, rows: 6, undecodable: 0, erased: 0 });
    expect(log.reads).toEqual(['0@0', '0@8', '1@0', '1@16']);
    expect(rows[2]?.receivedAtMs).toBe(1_008);
  });

  test('names an event by its fingerprint in hex as an outsider computes it, words in little-endian order, and with dedupe none, or without identity, by partition and sequence', () => {
    const log = new TestLog([['a?', 'b']]);
    const { rows } = run(log, [shareOf(0, [[0, 5, [accepted, accepted]]]), shareOf(1, [[0, 9, [accepted]]], 'none')]);
    expect(rows.map(({ eventId }) => eventId)).toEqual(['efbeadde000000000100000061000000', 'p0-6', 'p1-9']);
  });

  test('counts what was accepted once and cannot be decoded any more, and goes on', () => {
    const { rows, made } = run(new TestLog([['a!b']]), [shareOf(0, [[0, 0, [accepted, accepted, accepted]]])]);
    expect(rows.map(({ text }) => text)).toEqual(['a', 'b']);
    expect(made).toMatchObject({ rows: 2, undecodable: 1 });
  });

  test('leaves out rows of erased users up to the record that an erasure means, and counts them', () => {
    const secret = Buffer.from('secret');
    const erasures: SlotShare['erasures'] = [[6, { id: 'e', scope: 's', user: userKey(secret, { scope: 's', user: 'a' }), secret: 'one', atMs: 0 }]];
    const recordUsers = (bytes: Buffer, start: number, end: number): RecordUsers => ({ scope: 's', users: [bytes.toString('utf8', start, end)] });
    const share = shareOf(0, [[0, 5, [accepted, accepted, accepted, duplicate]]]);
    const more = { recordUsers, resources: { ...NO_RESOURCES, secret: () => secret } };
    expect(run(new TestLog([['aaba']]), [{ ...share, erasures }], more)).toMatchObject({ rows: [{ text: 'b' }], made: { rows: 1, erased: 2 } });
    expect(run(new TestLog([['baaa']]), [{ ...share, erasures }], more)).toMatchObject({ rows: [{ text: 'b' }, { text: 'a' }], made: { rows: 2, erased: 1 } });
    expect(run(new TestLog([['aaba']]), [share], more).made).toMatchObject({ rows: 3, erased: 0 });
  });

  test('leaves out rows of purged days of their app up to the record that a purge means', () => {
    const purgeOf = (days: Purge['days']): readonly PlacedErasure[] => [[6, { id: 'p', scope: 'a', days, atMs: 0 }]];
    const share = shareOf(0, [[0, 5, [accepted, accepted, accepted, duplicate]]]);
    const more = { scopeOf: ({ text }: TestEvent) => text };
    const hit = { fromMs: SLOT.startMs, toMs: SLOT.startMs + 1 };
    expect(run(new TestLog([['aaba']]), [{ ...share, erasures: purgeOf(hit) }], more)).toMatchObject({ rows: [{ text: 'b' }], made: { rows: 1, erased: 2 } });
    expect(run(new TestLog([['baaa']]), [{ ...share, erasures: purgeOf(hit) }], more)).toMatchObject({ rows: [{ text: 'b' }, { text: 'a' }], made: { rows: 2, erased: 1 } });
    expect(run(new TestLog([['aaba']]), [{ ...share, erasures: purgeOf({ fromMs: 0, toMs: SLOT.startMs }) }], more).made).toMatchObject({ rows: 3, erased: 0 });
  });

  test('a verdict log that does not fit the journal is refused before a wrong row is written', () => {
    expect(() => run(new TestLog([['ab']]), [shareOf(0, [[0, 0, [accepted]]])])).toThrow(/holds 1 records/);
    expect(() => run(new TestLog([['', 'ab']]), [shareOf(0, [[0, 0, [accepted]]])])).toThrow(/holds 1 records/);
  });

  test('shares out of order are refused: the rows would be too', () => {
    expect(() => run(new TestLog([['a', 'b']]), [shareOf(1, []), shareOf(0, [])])).toThrow(/rising partition/);
  });
});
