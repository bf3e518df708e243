/** Deaths: of the process, of the child of a supervising parent, of single threads. */

import { pause } from '../../support/load.ts';
import { killOnce } from '../../support/thread-deaths.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

const MIB = 1024 ** 2;
/** A start takes about so long; a second death may come at any time of it. */
const START_MS = 900;
const SECOND_DEATH_SHARE = 0.25;

async function killAndStart(world: World): Promise<number> {
  let deaths = 0;
  const die = async (): Promise<void> => {
    await world.daemon.kill();
    const { code, signal } = await world.daemon.exited;
    if (signal !== 'SIGKILL') throw new Error(`the daemon had ended by itself, with ${code ?? signal}`);
    deaths++;
  };
  await die();
  while (world.dice.chance(SECOND_DEATH_SHARE)) {
    world.spawn();
    await pause(world.dice.next() * START_MS);
    await die();
  }
  await world.start();
  return deaths;
}

async function killChild(world: World): Promise<number> {
  const before = world.restarts;
  process.kill(world.pid, 'SIGKILL');
  let deaths = 1;
  await world.daemon.until(() => world.restarts === before + 1, 30_000, 'the parent to see the death');
  if (world.dice.chance(SECOND_DEATH_SHARE)) {
    await world.daemon.until(() => world.childPid !== null, 60_000, 'the parent to start the daemon again');
    await pause(world.dice.next() * START_MS);
    process.kill(world.childPid as number, 'SIGKILL');
    deaths++;
    await world.daemon.until(() => world.restarts === before + 2, 30_000, 'the parent to see the second death');
  }
  await world.ready();
  return deaths;
}

export const kills: readonly Fault[] = [
  {
    name: 'kill',
    what: 'the process is killed, a quarter of the times again while it starts',
    how: 'SIGKILL; started again by the run',
    needs: [],
    supervised: false,
    times: 40,
    inflict: killAndStart,
  },
  {
    name: 'kill-recycled',
    what: 'the same with a journal so short that segments are used again',
    how: 'SIGKILL; journal.bytes_max of 64 MiB',
    needs: [],
    supervised: false,
    withoutReplay: true,
    times: 40,
    env: () => ({ MILLRACE_JOURNAL_BYTES_MAX: String(64 * MIB) }),
    inflict: killAndStart,
  },
  {
    name: 'kill-supervised',
    what: 'the daemon is killed below its parent, a quarter of the times again while it starts',
    how: 'SIGKILL; started again by `millrace start`',
    needs: [],
    supervised: true,
    times: 4,
    inflict: killChild,
  },
  {
    name: 'kill-thread',
    what: 'one actor thread or the ingress thread dies as by a bug',
    how: '`/v1/faults/kill-thread`',
    needs: [],
    times: 8,
    inflict: async (world) => {
      await killOnce(world.daemon, world.dice.chance(0.2) ? 'ingress' : String(world.dice.between(0, world.actorThreads - 1)));
      return 1;
    },
  },
];
