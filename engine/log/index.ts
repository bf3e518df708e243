/** The journal's public names. */
export { openJournal, BATCH_BYTES_DEFAULT } from './open-journal.ts';
export type { JournalOptions, JournalRecovery, OpenedJournal } from './open-journal.ts';
export type { JournalStats, JournalWriter } from './journal-writer.ts';
export type { RetentionLimits, RetentionResult } from './segment-catalog.ts';
export { openLogReader } from './journal-reader.ts';
export type { LogReaderOptions } from './journal-reader.ts';
export { openMergedLog } from './merged-log.ts';
export type { MergedLogPlace, MergeWords } from './merged-log.ts';
export { copyJournal, copySynced } from './copy-journal.ts';
export { openLogLookup } from './journal-lookup.ts';
export type { LogLookup, LogLookupOptions } from './journal-lookup.ts';
export { inspectJournal } from './inspect-journal.ts';
export type { InspectOptions, JournalReport, SegmentReport } from './inspect-journal.ts';
export { createRecordCursor } from './journal-batch.ts';
export type { Lane } from './journal-batch.ts';
export { recordBytes } from './batch-format.ts';
export { SEGMENT_BYTES_DEFAULT } from './segment-format.ts';
export { nodeDisk } from './node-disk.ts';
