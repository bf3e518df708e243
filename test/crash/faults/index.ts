/** All kinds of faults, and what is missing here for some. */

import { hasRedis } from '../../peers/redis.ts';
import { hasS3 } from '../../peers/s3.ts';
import { canMount } from '../../support/small-disk.ts';
import { canTrace } from '../../support/strace.ts';
import { diskFaults } from './disks.ts';
import type { Fault, Need } from './fault.ts';
import { kills } from './kills.ts';
import { hasFaketime, hasPrlimit, processFaults } from './process.ts';
import { redisFaults } from './redis.ts';
import { s3Faults } from './s3.ts';
import { savepointFault } from './savepoint.ts';

export const FAULTS: readonly Fault[] = [...kills, ...processFaults, ...diskFaults, ...redisFaults, ...s3Faults, savepointFault];

const HAVE: Readonly<Record<Need, boolean>> = {
  'redis-server': hasRedis,
  minio: hasS3('minio'),
  strace: canTrace,
  faketime: hasFaketime,
  mount: canMount,
  prlimit: hasPrlimit,
};

export const missingOf = (faults: readonly Fault[]): Need[] => [...new Set(faults.flatMap((fault) => fault.needs))].filter((need) => !HAVE[need]);

export function faultNamed(name: string): Fault {
  const fault = FAULTS.find((candidate) => candidate.name === name);
  if (fault === undefined) throw new Error(`no kind of fault is called ${name}: take of ${FAULTS.map((candidate) => candidate.name).join(', ')}`);
  return fault;
}
