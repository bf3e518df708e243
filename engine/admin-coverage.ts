/** Which fields the last records of each app had: read from the journal as the tail is, bounded in records and bytes, in turns. */

import { setImmediate as turn } from 'node:timers/promises';
import { CoverageSample, type AppCoverage } from '../actors/appsflyer/coverage.ts';
import { LOOKED_AT_MAX, PayloadReader, READ_BYTES_MAX, type TailSource } from './admin-tail.ts';
import { comparePlaces } from './runtime/answers.ts';

export interface CoverageAnswer {
  /** Records that were looked at. */
  readonly sampled: number;
  /** Of these, such as are no JSON object. */
  readonly unreadable: number;
  readonly apps: readonly AppCoverage[];
}

export interface CoverageQuery {
  readonly records: number;
  readonly app_id?: string | undefined;
}

export const COVERAGE_RECORDS_MAX = LOOKED_AT_MAX;
const LOOKED_AT_PER_TURN = 100;

/** The newest records of all partitions; those that left the journal meanwhile are passed over. */
export async function coverage(source: TailSource, query: CoverageQuery): Promise<CoverageAnswer> {
  const answers = await source.ask({ what: 'tail', limit: query.records, after: null, verdict: null });
  const entries = answers.flatMap((answer) => answer.entries).sort((left, right) => comparePlaces(right, left)).slice(0, query.records);
  const sample = new CoverageSample();
  const reader = new PayloadReader(source.openLookup());
  let sampled = 0;
  try {
    for (const entry of entries) {
      if (reader.bytesRead >= READ_BYTES_MAX) break;
      const isNewBatch = !reader.holds(entry);
      if (isNewBatch || sampled % LOOKED_AT_PER_TURN === 0) await turn();
      if (isNewBatch) reader.read(entry);
      const payload = reader.payload(entry);
      if (payload === null) continue;
      sample.add(payload.bytes);
      sampled++;
    }
  } finally {
    reader.close();
  }
  return { sampled, unreadable: sample.unreadable, apps: sample.apps().filter(({ app_id: app }) => query.app_id === undefined || app === query.app_id) };
}
