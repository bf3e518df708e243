/**
 * One slot's rows, read again from the journal and encoded: the only path by which rows reach `events/`, with or without a crash before.
 *
 * Walks the shares by rising partition and each share's verdict log in log order; accepted and late records become rows, the others are
 * stepped over. So rows are in (partition, log order) and files are a function of the log. Pool thread; the wiring passes the journal in.
 *
 * Hot path: 190 K rows a second, at most 6 µs a row, from the journal to Parquet; bench/micro/lake.ts.
 */

import { join } from 'node:path';
import { ErasedUsers, isPurge } from '../../engine/core/erasure.ts';
import { PurgedDays } from '../../engine/core/purged-days.ts';
import { writeFingerprintHex } from '../../engine/core/hash.ts';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import type { LogBatch, RecordCursor } from '../../engine/core/log.ts';
import type { PipelineDefinition, TextBytes } from '../../engine/core/pipeline.ts';
import { Verdict } from '../../engine/core/record.ts';
import { secretsIn, type RuleResources } from '../../engine/core/rule-resources.ts';
import { assert, partitionId, type Offset, type PartitionId } from '../../engine/core/types.ts';
import { readVerdictLog } from '../../engine/core/verdict-log.ts';
import type { TableData } from './column-builder.ts';
import { writeFileSynced } from './durable-file.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS, type EventsEncoder, type EventsEncoderBounds, type EventsFile } from './events-encoder.ts';
import type { DirectFiles } from './files.ts';
import { nodeFiles } from './node-files.ts';
import { spoolError, spoolFileName, stagingDirectory } from './spool.ts';

/** Reads single batches of the log. The batch is valid until the next call. */
export interface BatchLookup {
  batchAt(position: Offset, lane: { readonly first: PartitionId; readonly count: number }, journal: number): LogBatch;
}

type LakePipeline<Event, DomainRules> = Pick<PipelineDefinition<Event, DomainRules>, 'decode' | 'eventTimeMs' | 'fingerprint' | 'lakeColumns' | 'enrich' | 'shield' | 'recordUsers' | 'scopeOf'> &
  Partial<Pick<PipelineDefinition<Event, DomainRules>, 'domainRules'>>;

export interface EncodeSlotOptions<Event, DomainRules> {
  readonly slot: SlotId;
  readonly shares: readonly SlotShare[];
  readonly pipeline: LakePipeline<Event, DomainRules>;
  /** What the rules of a share may name. */
  readonly resources?: RuleResources;
  readonly lookup: BatchLookup;
  readonly cursor: RecordCursor;
  readonly bounds: EventsEncoderBounds;
  readonly encodeTable: (table: TableData) => Uint8Array;
  readonly emit: (file: EventsFile) => void;
}

/** What a slot became; plain data. */
export interface SlotFiles {
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
  /** Accepted when they were folded, but not readable by this program's decoder. */
  readonly undecodable: number;
  /** Left out: of users who were erased, or of days that were purged, before the slot was encoded. */
  readonly erased: number;
}

export function encodeSlot<Event, DomainRules>(options: EncodeSlotOptions<Event, DomainRules>): SlotFiles {
  const { slot, shares, pipeline, bounds, encodeTable } = options;
  let files = 0;
  let bytes = 0;
  const emit = (file: EventsFile): void => {
    files++;
    bytes += file.bytes.byteLength;
    options.emit(file);
  };
  const encoder = createEventsEncoder({ columns: pipeline.lakeColumns, slot, bounds, encodeTable, emit });
  let rows = 0;
  let undecodable = 0;
  let erased = 0;
  let lastPartition = -1;
  const rules = rulesOfSlot(options);
  for (const share of shares) {
    assert(share.partition > lastPartition, 'shares come by rising partition');
    assert(slotName(share.slot) === slotName(slot), 'shares are of one slot');
    lastPartition = share.partition;
    assert((share.lakeRules ?? '') === (shares[0]?.lakeRules ?? ''), 'the records of a slot obey the same rules');
    const taken = encodeShare(share, { ...options, rules }, encoder);
    assert(taken.rows + taken.undecodable + taken.erased === share.rowCount, `partition ${share.partition} of slot ${slotName(slot)} has ${share.rowCount} rows`);
    rows += taken.rows;
    undecodable += taken.undecodable;
    erased += taken.erased;
  }
  encoder.finish();
  return { files, bytes, rows, undecodable, erased };
}

function encodeShare<Event, DomainRules>(share: SlotShare, options: EncodeSlotOptions<Event, DomainRules> & { readonly rules: DomainRules | null }, encoder: EventsEncoder<Event>): Pick<SlotFiles, 'rows' | 'undecodable' | 'erased'> {
  const { pipeline, lookup, cursor, rules } = options;
  const partition = partitionId(share.partition);
  const lane = { first: partition, count: 1 };
  const fingerprint = new Uint32Array(4);
  const digits = new Uint16Array(16);
  const named: TextBytes = { view: new DataView(digits.buffer), start: 0, end: digits.byteLength };
  const context = { eventId: named as string | TextBytes, late: false, receivedAtMs: 0 };
  const isErased = erasedIn(share, options);
  const isPurged = purgedIn(share, options);
  let rows = 0;
  let undecodable = 0;
  let erased = 0;
  for (const { journal, batchOffset, firstSequence, verdicts } of readVerdictLog(share.entries)) {
    const batch = lookup.batchAt(batchOffset, lane, journal);
    const slice = batch.slices[0];
    assert(slice !== undefined && slice.partition === partition && slice.recordCount === verdicts.length, `batch ${batchOffset} holds ${verdicts.length} records of partition ${partition}`);
    cursor.reset(batch, slice);
    for (let index = 0; index < verdicts.length; index++) {
      assert(cursor.next(), 'a slice has the records that it counts');
      const verdict = verdicts[index];
      if (verdict !== Verdict.accepted && verdict !== Verdict.late) continue;
      if (isErased?.(batch.bytes, cursor, firstSequence + index) === true) {
        erased++;
        continue;
      }
      const event = pipeline.decode(batch.bytes, cursor.start, cursor.end, cursor.source, batch.receivedAtMs);
      if (typeof event === 'string') {
        undecodable++;
        continue;
      }
      if (isPurged?.(event, firstSequence + index) === true) {
        erased++;
        continue;
      }
      if (share.dedupe !== 'none' && pipeline.fingerprint(event, share.dedupe, fingerprint)) {
        writeFingerprintHex(fingerprint, digits);
        context.eventId = named;
      } else context.eventId = `p${partition}-${firstSequence + index}`;
      context.late = verdict === Verdict.late;
      context.receivedAtMs = batch.receivedAtMs;
      if (rules !== null) {
        pipeline.enrich?.(event, rules);
        pipeline.shield?.(event, rules, batch.receivedAtMs);
      }
      encoder.append(event, context, pipeline.eventTimeMs(event));
      rows++;
    }
  }
  return { rows, undecodable, erased };
}

/** Null where nobody was erased: then a record costs nothing more. */
function erasedIn<Event, DomainRules>({ erasures = [] }: SlotShare, { pipeline: { recordUsers }, resources }: EncodeSlotOptions<Event, DomainRules>): ((bytes: Buffer, record: { readonly start: number; readonly end: number }, sequence: number) => boolean) | null {
  if (erasures.every(([, erasure]) => isPurge(erasure)) || recordUsers === undefined) return null;
  const erased = new ErasedUsers(erasures, secretsIn(resources));
  return (bytes, { start, end }, sequence) => erased.find(recordUsers(bytes, start, end), sequence) !== null;
}

/** Null where nothing was purged. */
function purgedIn<Event, DomainRules>({ erasures = [] }: SlotShare, { pipeline: { scopeOf, eventTimeMs } }: EncodeSlotOptions<Event, DomainRules>): ((event: Event, sequence: number) => boolean) | null {
  const purged = new PurgedDays(erasures);
  if (purged.isEmpty || scopeOf === undefined) return null;
  return (event, sequence) => purged.find({ scope: scopeOf(event), timeMs: eventTimeMs(event) }, sequence) !== null;
}

/** Null where the lake obeys none. Raises RULE_RESOURCE_MISSING. */
function rulesOfSlot<Event, DomainRules>({ shares, pipeline, resources }: EncodeSlotOptions<Event, DomainRules>): DomainRules | null {
  const lakeRules = shares[0]?.lakeRules ?? '';
  if (lakeRules === '') return null;
  assert(pipeline.domainRules !== undefined, 'rules are read by the pipeline that wrote them');
  return pipeline.domainRules(JSON.parse(lakeRules), resources);
}

export interface EncodeSlotToSpoolOptions<Event, DomainRules> extends Omit<EncodeSlotOptions<Event, DomainRules>, 'bounds' | 'encodeTable' | 'emit'> {
  readonly spoolDirectory: string;
  readonly rowsPerFile: number;
  /** By default Parquet, on the file system of the machine; a simulator passes its own. */
  readonly encodeTable?: (table: TableData) => Uint8Array;
  readonly files?: DirectFiles;
}

/**
 * Writes the slot's files, synced, to its staging folder; `Spool.commit` makes them count. What an earlier attempt left there is removed.
 * Rejects DISK_FULL, or what the lookup raises. After a failure inside WebAssembly its instance is unusable: the thread must not be used
 * again (engine/threads/pool.ts sees to it).
 */
export async function encodeSlotToSpool<Event, DomainRules>(options: EncodeSlotToSpoolOptions<Event, DomainRules>): Promise<SlotFiles> {
  const { files = nodeFiles.direct } = options;
  // Loaded here and not above: whoever imports this folder's index on the main thread must not pay for 5 MB of WebAssembly.
  const encode = options.encodeTable ?? (await import('./parquet.ts')).encodeParquet;
  const staging = stagingDirectory(options.spoolDirectory, options.slot);
  const write = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      throw spoolError(error, options.spoolDirectory);
    }
  };
  write(() => {
    files.removeTree(staging);
    files.makeFolders(staging);
  });
  return encodeSlot({
    ...options,
    bounds: { ...DEFAULT_EVENTS_BOUNDS, rowsPerFile: options.rowsPerFile },
    encodeTable: encode,
    emit: ({ path, bytes }) => write(() => writeFileSynced(files, join(staging, spoolFileName(path)), bytes)),
  });
}

/** Encodes one table in a pool thread; what `HourlySink` hands out. */
export async function encodeTable(table: TableData): Promise<Uint8Array> {
  const { encodeParquet } = await import('./parquet.ts');
  return encodeParquet(table);
}
