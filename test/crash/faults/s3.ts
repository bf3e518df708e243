/** An S3 that answers errors, is slow, cuts bodies or loses answers: a real MinIO behind a proxy that injects faults. */

import type { Fault as ProxyFault } from '../../peers/s3.ts';
import { pause } from '../../support/load.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

/** Of the requests that come during a fault; the others get through, or nothing would ever be half done. */
const SHARE = 0.7;

interface Trouble {
  readonly name: string;
  readonly what: string;
  readonly how: string;
  readonly choose: (world: World) => ProxyFault;
}

/** Until requests were met, and then a while on. */
const trouble = ({ name, what, how, choose }: Trouble): Fault => ({
  name,
  what,
  how: `${how}; felt: requests that it met`,
  needs: ['minio'],
  times: 3,
  inflict: async (world) => {
    const { s3 } = world;
    if (s3 === null) throw new Error('the run has no S3');
    let met = 0;
    s3.proxy.decide = () => {
      if (!world.dice.chance(SHARE)) return { type: 'pass' };
      met++;
      return choose(world);
    };
    try {
      await world.daemon.until(() => met > 0, 60_000, 'a request to be met');
      await pause(world.dice.between(1_000, 4_000));
    } finally {
      s3.proxy.decide = () => ({ type: 'pass' });
    }
    return met;
  },
});

export const s3Faults: readonly Fault[] = [
  trouble({
    name: 's3-errors',
    what: 'S3 answers 500 and 503',
    how: 'the proxy answers',
    choose: (world) => world.dice.pick([{ type: 'answer', status: 500, code: 'InternalError' }, { type: 'answer', status: 503, code: 'SlowDown' }]),
  }),
  trouble({
    name: 's3-slow',
    what: 'S3 takes 0.2 to 4 s, at a limit of 2 s: what has timed out may still land later',
    how: 'the proxy holds requests',
    choose: (world) => ({ type: 'hold', until: pause(world.dice.between(200, 4_000)) }),
  }),
  trouble({
    name: 's3-cut',
    what: 'bodies are cut in half, connections reset, answers lost after the work is done',
    how: 'the proxy cuts',
    choose: (world) => world.dice.pick([{ type: 'cut' }, { type: 'reset' }, { type: 'lose_answer' }]),
  }),
];
