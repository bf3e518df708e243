import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGenerator } from '../../../actors/appsflyer/generate/index.ts';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { systemClock } from '../../../engine/core/clock.ts';
import { fingerprintHex } from '../../../engine/core/hash.ts';
import type { SlotShare } from '../../../engine/core/lake-slot.ts';
import { createPartitioner } from '../../../engine/core/partition-key.ts';
import { Verdict } from '../../../engine/core/record.ts';
import { partitionId, type Offset } from '../../../engine/core/types.ts';
import { VerdictLogWriter } from '../../../engine/core/verdict-log.ts';
import { createRecordCursor, openJournal, openLogLookup, openLogReader } from '../../../engine/log/index.ts';
import { encodeSlotToSpool, type SlotFiles } from '../../../sinks/lake/encode-slot.ts';
import { Spool, stagingDirectory } from '../../../sinks/lake/spool.ts';
import { duckdb } from '../../support/duckdb.ts';

/** The generator's messages in a real journal, judged by a stand-in for the fold, encoded, and compared with what was judged. */

const PARTITIONS = 4;
const MESSAGES = 3_000;
const SLOT = { startMs: Date.UTC(2026, 10, 22, 1), part: 0 };

interface ExpectedRow {
  readonly eventId: string;
  readonly late: boolean;
  readonly revenueMicros: number | null;
}

let root: string;
/** Accepted and late rows in (partition, offset) order. */
const expected: ExpectedRow[] = [];
let shares: SlotShare[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'millrace-slot-'));
  let durable = 0 as Offset;
  const directory = join(root, 'journal');
  const { writer } = await openJournal({ directory, instance: 'i', partitionCount: PARTITIONS, clock: systemClock, publish: (offset) => (durable = offset), segmentBytes: 1024 * 1024, batchBytesMax: 512 * 1024 });
  const partitioner = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
  const generator = createGenerator({ seed: 3, startMs: SLOT.startMs, resendShare: 0.1, garbageShare: 0.02 });
  for (let index = 0; index < MESSAGES; index++) {
    const body = Buffer.from(generator.next().body);
    partitioner.locate(body, 0, body.byteLength);
    writer.append(partitioner.partition, 1, partitioner.flags, body, 0, body.byteLength);
    // Batches of all sizes, a lone record too.
    if (index % 41 === 0 || index % 97 === 0) await writer.commit();
  }
  await writer.commit();
  await writer.close();
  shares = Array.from({ length: PARTITIONS }, (_, partition) => judge(directory, partition, durable));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function judge(directory: string, partition: number, durable: Offset): SlotShare {
  const lane = { first: partitionId(partition), count: 1 };
  const reader = openLogReader({ directory, lane, from: 0 as Offset });
  const cursor = createRecordCursor();
  const log = new VerdictLogWriter();
  const fingerprint = new Uint32Array(4);
  const seen = new Set<string>();
  let sequence = 0;
  let rowCount = 0;
  for (let batch = reader.read(durable); batch !== null; batch = reader.read(durable)) {
    const verdicts: number[] = [];
    for (const slice of batch.slices) {
      cursor.reset(batch, slice);
      while (cursor.next()) {
        const event = appsflyerPipeline.decode(batch.bytes, cursor.start, cursor.end, cursor.source, batch.receivedAtMs);
        if (typeof event === 'string') {
          verdicts.push(Verdict.rejected);
          continue;
        }
        appsflyerPipeline.fingerprint(event, 'push-ms', fingerprint);
        const eventId = fingerprintHex(fingerprint);
        const late = eventId.startsWith('0');
        verdicts.push(seen.has(eventId) ? Verdict.duplicate : late ? Verdict.late : Verdict.accepted);
        if (!seen.has(eventId)) {
          rowCount++;
          expected.push({ eventId, late, revenueMicros: event.isPriced ? event.revenueMicros : null });
        }
        seen.add(eventId);
      }
    }
    if (verdicts.some((verdict) => verdict === Verdict.accepted || verdict === Verdict.late)) log.append(batch.offset, sequence, Uint8Array.from(verdicts), verdicts.length);
    sequence += verdicts.length;
  }
  reader.close();
  return { partition, slot: SLOT, dedupe: 'push-ms', rowCount, entries: log.bytes() };
}

async function encode(spoolDirectory: string, rowsPerFile: number): Promise<SlotFiles> {
  const lookup = openLogLookup({ directory: join(root, 'journal') });
  try {
    return await encodeSlotToSpool({ slot: SLOT, shares, pipeline: appsflyerPipeline, lookup, cursor: createRecordCursor(), spoolDirectory, rowsPerFile });
  } finally {
    lookup.close();
  }
}

test('each accepted or late record of the journal is in the files once, with its own values', async () => {
  const spool = new Spool({ directory: join(root, 'spool'), bytesMax: 1e9 });
  await spool.open();
  const made = await encode(spool.directory, 1_000);
  expect(made).toMatchObject({ rows: expected.length, undecodable: 0 });
  expect(made.rows).toBeGreaterThan(MESSAGES * 0.8);
  await spool.commit(SLOT, made);
  expect(spool.bytes).toBe(made.bytes);
  const files = await spool.files(SLOT);
  expect(files.every(({ name }) => /^events\/event_date=\d{4}-\d\d-\d\d\/20261122T010000Z-0000-part\d{4}\.parquet$/.test(name))).toBe(true);
  const list = files.map(({ path }) => `'${path}'`).join(', ');
  const rows = await duckdb(`select event_id, late, (revenue * 1000000)::bigint::varchar as micros from read_parquet([${list}])`);
  const byId = new Map(rows.map((row) => [row['event_id'], row]));
  expect(rows).toHaveLength(expected.length);
  expect(byId.size).toBe(expected.length);
  for (const { eventId, late, revenueMicros } of expected) {
    expect(byId.get(eventId)).toEqual({ event_id: eventId, late, micros: revenueMicros === null ? null : String(revenueMicros) });
  }
  const columns = await duckdb(`describe select * from read_parquet([${list}])`);
  expect(columns.slice(0, 6).map((row) => [row['column_name'], row['column_type']])).toEqual([
    ['event_id', 'VARCHAR'],
    ['campaign_id', 'VARCHAR'],
    ['user_id', 'VARCHAR'],
    ['event_type', 'VARCHAR'],
    ['timestamp', 'TIMESTAMP WITH TIME ZONE'],
    ['revenue', 'DECIMAL(18,6)'],
  ]);
  const wrongDate = await duckdb(`select count(*)::int as rows from read_parquet([${list}], filename = true) where filename not like '%event_date%3D' || strftime("timestamp", '%Y-%m-%d') || '%'`);
  expect(wrongDate).toEqual([{ rows: 0 }]);
});

test('encoding again, also over what a crash left, gives the same files byte for byte', async () => {
  const contents = async (folder: string): Promise<string[]> => {
    await encode(join(root, folder), 500);
    const staging = stagingDirectory(join(root, folder), SLOT);
    return readdirSync(staging).sort().map((name) => `${name} ${readFileSync(join(staging, name)).toString('base64')}`);
  };
  const first = await contents('a');
  expect(first.length).toBeGreaterThan(3);
  expect(await contents('b')).toEqual(first);
  expect(await contents('a')).toEqual(first);
});
