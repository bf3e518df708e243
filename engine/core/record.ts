/**
 * What the log carries: records, their sources and flags, and the verdict each one ends with.
 */

/** Where a record came in. Stored as one byte in the journal: never renumber. */
export const RecordSource = { push: 1, pushGet: 2, events: 3, s2s: 4, pull: 5, kafka: 6, kinesis: 7, retry: 8 } as const;
export type RecordSource = (typeof RecordSource)[keyof typeof RecordSource];

/** What people see in a source's place: in answers and as the label of metrics. */
export const SOURCE_NAMES: Readonly<Record<RecordSource, string>> = {
  [RecordSource.push]: 'push',
  [RecordSource.pushGet]: 'push_get',
  [RecordSource.events]: 'events',
  [RecordSource.s2s]: 's2s',
  [RecordSource.pull]: 'pull',
  [RecordSource.kafka]: 'kafka',
  [RecordSource.kinesis]: 'kinesis',
  [RecordSource.retry]: 'retry',
};

/** Bits of a record's flag byte. Stored: never renumber. */
export const RecordFlag = {
  none: 0,
  /** The door saw that this is no JSON object and answered 400; the fold rejects it as NOT_JSON without decoding. */
  malformed: 1,
  /** The door saw JSON that is not an object; the fold rejects it as NOT_OBJECT. */
  notObject: 2,
  /** The door took the head alone of a record beyond its limit; the fold rejects it as TOO_LARGE. */
  tooLarge: 4,
} as const;
export type RecordFlag = number;

/** How a record ended. Stored as two bits in the lake outbox: never renumber. */
export const Verdict = { accepted: 0, late: 1, duplicate: 2, rejected: 3 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];
export const VERDICT_NAMES = ['accepted', 'late', 'duplicate', 'rejected'] as const;

/** Why a record was rejected. Stored as one byte in dead letters: append only. */
export const REJECT_CODES = [
  'NOT_JSON',
  'NOT_OBJECT',
  'TOO_LARGE',
  'NO_APP_ID',
  'NO_EVENT_NAME',
  'BAD_EVENT_TIME',
  'FUTURE_EVENT_TIME',
  'NO_IDENTITY',
  'POISON',
  'UNKNOWN_APP',
  'TEST_MESSAGE',
] as const;
export type RejectCode = (typeof REJECT_CODES)[number];

/** `received = accepted + duplicate + late + rejected` at every checkpoint; `received` is counted from batch indexes alone. */
export interface Conservation {
  received: number;
  accepted: number;
  duplicate: number;
  late: number;
  rejected: number;
}

export const emptyConservation = (): Conservation => ({ received: 0, accepted: 0, duplicate: 0, late: 0, rejected: 0 });
