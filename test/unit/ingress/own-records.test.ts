import { afterEach, describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { systemClock } from '../../../engine/core/clock.ts';
import type { EngineError } from '../../../engine/core/errors.ts';
import { OWN_RECORDS_MAX } from '../../../engine/core/own-records.ts';
import { createPartitioner } from '../../../engine/core/partition-key.ts';
import { RecordFlag, RecordSource } from '../../../engine/core/record.ts';
import { RETRY_HEADER_BYTES, retriedLetter, retriedRecord } from '../../../engine/core/retried-record.ts';
import { Admission } from '../../../ingress/admission.ts';
import { Batcher } from '../../../ingress/batcher.ts';
import { appendOwnRecords, type OwnRecordsDesk } from '../../../ingress/own-records.ts';
import { IngressCounters } from '../../../ingress/stats.ts';
import { MemoryLog } from '../../integration/ingress/memory-log.ts';

const PARTITIONS = 8;
const RECORD_BYTES_MAX = 4_096;

interface Facts {
  inFlightBytesMax?: number;
  isOpen?: boolean;
  isDiskExhausted?: boolean;
}

let open: Batcher | null = null;
function desk(log: MemoryLog, { inFlightBytesMax = 1_000_000, isOpen = true, isDiskExhausted = false }: Facts = {}): OwnRecordsDesk {
  open = new Batcher({ writer: log, clock: systemClock, batchBytesMax: 1_000_000, tickAfterMs: 60_000, onFailure: () => undefined });
  return {
    options: { record_bytes_max: RECORD_BYTES_MAX },
    admission: new Admission({ inFlightBytesMax, isOpen: () => isOpen, diskReserveExhausted: () => isDiskExhausted }),
    batcher: open,
    partitioner: createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS),
    counters: new IngressCounters(),
    liveRequests: 0,
  };
}

const row = (user: string, more = ''): Buffer => Buffer.from(`{"app_id":"id1","appsflyer_id":"${user}"${more}}`);
const errorOf = (request: Promise<unknown>): Promise<EngineError | null> => request.then(() => null, (error: unknown) => error as EngineError);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

afterEach(() => {
  open?.stop();
});

describe('records of the daemon\'s own', () => {
  it('are durable when they are answered, with their source, in the partition where the door puts the same bytes', async () => {
    const log = new MemoryLog();
    const at = desk(log);
    const rows = Array.from({ length: 20 }, (_, index) => row(`user-${index}`));
    expect(await appendOwnRecords(at, RecordSource.pull, rows)).toEqual({ accepted: 20, rejected: [] });
    const partitioner = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
    const expected = rows.map((bytes) => {
      partitioner.locate(bytes, 0, bytes.byteLength);
      return { partition: partitioner.partition, source: RecordSource.pull, flags: RecordFlag.none, text: bytes.toString() };
    });
    expect(log.records.map(({ partition, source, flags, bytes }) => ({ partition, source, flags, text: bytes.toString() }))).toEqual(expected);
    expect(at.counters.snapshot().records).toEqual({ pull: 20 });
    expect([at.liveRequests, at.admission.heldBytes]).toEqual([0, 0]);
  });

  it('that the door sees to be bad are journaled with a flag and named by index, one by one', async () => {
    const log = new MemoryLog();
    const records = [row('a'), Buffer.from('{'), Buffer.from('[1]'), row('b', `,"x":"${'y'.repeat(RECORD_BYTES_MAX)}"`)];
    const answer = await appendOwnRecords(desk(log), RecordSource.pull, records);
    expect(answer).toEqual({
      accepted: 1,
      rejected: [
        { index: 1, code: 'NOT_JSON' },
        { index: 2, code: 'NOT_OBJECT' },
        { index: 3, code: 'TOO_LARGE' },
      ],
    });
    expect(log.records.map(({ flags }) => flags)).toEqual([RecordFlag.none, RecordFlag.malformed, RecordFlag.notObject, RecordFlag.tooLarge]);
    expect(log.records[3]?.bytes.byteLength).toBe(RECORD_BYTES_MAX);
  });

  it('that are dead letters go back to the partition that keeps them, behind their header, and nowhere else', async () => {
    const log = new MemoryLog();
    const partitioner = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
    const bytes = row('a');
    partitioner.locate(bytes, 0, bytes.byteLength);
    const { partition } = partitioner;
    const letters = [partition, (partition + 1) % PARTITIONS, partition].map((at, index) => retriedRecord({ partition: at, id: 7, attempt: index + 1, source: RecordSource.push }, bytes));
    const large = retriedRecord({ partition, id: 8, attempt: 1, source: RecordSource.push }, row('a', `,"x":"${'y'.repeat(RECORD_BYTES_MAX - 42)}"`));
    expect(large.byteLength).toBe(RECORD_BYTES_MAX + RETRY_HEADER_BYTES);
    expect(await appendOwnRecords(desk(log), RecordSource.retry, [...letters, large])).toEqual({ accepted: 3, rejected: [{ index: 1, code: 'MOVED' }] });
    expect(log.records.map((record) => [record.partition, record.source, record.flags, retriedLetter(record.bytes, 0, record.bytes.byteLength).attempt])).toEqual([
      [partition, RecordSource.retry, RecordFlag.none, 1],
      [partition, RecordSource.retry, RecordFlag.none, 3],
      [partition, RecordSource.retry, RecordFlag.none, 1],
    ]);
    expect(log.records[0]?.bytes.subarray(RETRY_HEADER_BYTES).toString()).toBe(bytes.toString());
  });

  it('wait for room where the batch is full and the disk slow, and are all there in the end', async () => {
    const log = new MemoryLog(2_000);
    log.commitMs = 5;
    const rows = Array.from({ length: 200 }, (_, index) => row(`user-${index}`));
    expect(await appendOwnRecords(desk(log), RecordSource.pull, rows)).toEqual({ accepted: 200, rejected: [] });
    expect(new Set(log.texts).size).toBe(200);
    expect(log.batches.length).toBeGreaterThan(5);
  });

  it('fail as a whole, retryably, when one of their batches does', async () => {
    const log = new MemoryLog(2_000);
    const at = desk(log);
    log.fail = 'JOURNAL_WRITE_FAILED';
    const error = await errorOf(appendOwnRecords(at, RecordSource.pull, Array.from({ length: 100 }, (_, index) => row(`user-${index}`))));
    expect([error?.code, error?.retryable]).toEqual(['JOURNAL_WRITE_FAILED', true]);
    expect([at.liveRequests, at.admission.heldBytes]).toEqual([0, 0]);
  });

  it.each([
    ['NOT_READY', { isOpen: false }],
    ['DISK_RESERVE', { isDiskExhausted: true }],
    ['BUSY', { inFlightBytesMax: 100 }],
  ] as const)('are refused before anything is appended when the door is closed: %s', async (reason, facts) => {
    const log = new MemoryLog();
    const error = await errorOf(appendOwnRecords(desk(log, facts), RecordSource.pull, [row('a'), row('b')]));
    expect([error?.code, error?.where, error?.retryable]).toEqual(['DOOR_CLOSED', { reason }, true]);
    await turn();
    expect(log.records).toEqual([]);
  });

  it('are waited for by a drain, and refused once it has begun', async () => {
    const log = new MemoryLog();
    log.hold();
    const at = desk(log);
    const underWay = appendOwnRecords(at, RecordSource.pull, [row('a')]);
    await turn();
    at.admission.draining = true;
    expect(at.liveRequests).toBe(1);
    expect((await errorOf(appendOwnRecords(at, RecordSource.pull, [row('b')])))?.where).toEqual({ reason: 'DRAINING' });
    log.release();
    expect(await underWay).toEqual({ accepted: 1, rejected: [] });
    expect([at.liveRequests, open?.idle]).toEqual([0, true]);
  });

  it('beyond the bounds of a request are a bug of the caller', () => {
    const at = desk(new MemoryLog());
    expect(() => appendOwnRecords(at, RecordSource.pull, [])).toThrow('1 to 1000 records');
    expect(() => appendOwnRecords(at, RecordSource.pull, Array.from({ length: OWN_RECORDS_MAX + 1 }, () => row('a')))).toThrow('1 to 1000 records');
    expect(() => appendOwnRecords(at, RecordSource.pull, [Buffer.alloc(600_000), Buffer.alloc(600_000)])).toThrow('bytes');
  });
});
