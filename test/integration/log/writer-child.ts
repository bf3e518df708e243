/**
 * Writes numbered records to a journal as fast as it can and tells its parent, after each commit, what is acknowledged.
 * Arguments: directory, first number. Killed by the parent at any moment.
 */

import { writeSync } from 'node:fs';

import { systemClock } from '../../../engine/core/clock.ts';
import { partitionId } from '../../../engine/core/types.ts';
import { openJournal } from '../../../engine/log/index.ts';

const [directory = '', first = '0'] = process.argv.slice(2);
const PARTITIONS = 8;

const { writer } = await openJournal({
  directory,
  instance: 'kill-test',
  partitionCount: PARTITIONS,
  clock: systemClock,
  publish: () => undefined,
  segmentBytes: 1024 * 1024,
  batchBytesMax: 128 * 1024,
});
writeSync(1, 'open\n');
for (let number = Number(first), batch = 0; ; batch++) {
  for (let record = 0; record <= (batch * 7) % 40; record++) {
    const bytes = Buffer.from(`${number}:`.padEnd(20 + ((number * 37) % 1_500), 'x'));
    writer.append(partitionId(number % PARTITIONS), 1, 0, bytes, 0, bytes.byteLength);
    number++;
  }
  await writer.commit();
  writeSync(1, `${number}\n`);
  if (batch % 50 === 49) {
    const { durableOffset } = writer.stats();
    await writer.retain({ needOffset: durableOffset, maxAgeMs: 3_600_000, maxBytes: 12 * 1024 * 1024 });
  }
}
