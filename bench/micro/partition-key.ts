/**
 * How long does the door take to find a record's partition?
 *
 * Expected limit: a few native searches over 1.6 KB, under 1 µs. Run: `npm run build && node dist/bench/micro/partition-key.js`.
 * Guards engine/core/partition-key.ts.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { createPartitioner } from '../../engine/core/partition-key.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type MeasureOptions, type Timing } from './measure.ts';
import { buildMessages } from './messages.ts';

const MESSAGES = 1_000;
const PARTITIONS = 32;

export function benchPartitionKey(options: MeasureOptions): readonly Timing[] {
  const partitioner = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
  const plain = buildMessages({ count: MESSAGES });
  const spaced = buildMessages({ count: MESSAGES, spaced: true });
  // An escape that could spell a key makes the door doubt.
  const doubtful = Buffer.from(plain.bytes.toString('latin1').replaceAll('"Lyon"', '"\\u004c"'), 'latin1');
  const shift = '\\u004c'.length - 'Lyon'.length;
  const locate = (bytes: Buffer, start: number, end: number): number => {
    partitioner.locate(bytes, start, end);
    return partitioner.flags === 0 ? partitioner.partition : NaN;
  };
  return [
    measure('fast path', options, (call) => locate(plain.bytes, plain.starts[call % MESSAGES] as number, plain.ends[call % MESSAGES] as number)),
    measure('fast path, blanks after colons', options, (call) => locate(spaced.bytes, spaced.starts[call % MESSAGES] as number, spaced.ends[call % MESSAGES] as number)),
    measure('full parse', options, (call) => {
      const index = call % MESSAGES;
      return locate(doubtful, (plain.starts[index] as number) + index * shift, (plain.ends[index] as number) + (index + 1) * shift);
    }),
  ];
}

if (isProgram(import.meta.url)) {
  printTimings('The partition of one push message of about 1.6 KB', benchPartitionKey({ rounds: 5, calls: 100_000 }));
}
