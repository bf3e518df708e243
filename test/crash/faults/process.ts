/** A process that stands still, has no file descriptor left, or whose clock jumps. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../support/load.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

const FAKETIME_LIBRARIES = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1', '/usr/lib/faketime/libfaketimeMT.so.1'];
const faketimeLibrary = FAKETIME_LIBRARIES.find((path) => existsSync(path));
export const hasFaketime = faketimeLibrary !== undefined;
export const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

const HOUR_MS = 3_600_000;
/** Requests under way when the process stops; their answers may be on the wire. */
const SETTLE_MS = 100;

async function stop(world: World): Promise<number> {
  const { pid } = world;
  process.kill(pid, 'SIGSTOP');
  try {
    await pause(SETTLE_MS);
    const before = world.load.acknowledged;
    await pause(world.dice.between(1_000, 4_000));
    const state = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (state !== 'T' || world.load.acknowledged !== before) throw new Error(`the process did not stand still: state ${state}, ${world.load.acknowledged - before} acknowledged`);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  return 1;
}

const softLimit = (pid: number): number => Number(execFileSync('prlimit', ['--pid', String(pid), '--nofile', '--raw', '--noheadings', '--output', 'SOFT'], { encoding: 'utf8' }));
const setSoftLimit = (pid: number, count: number): void => void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);

/** No descriptor is free: neither for a connection nor for a file. */
async function exhaustDescriptors(world: World): Promise<number> {
  const { pid } = world;
  const usual = softLimit(pid);
  let refused = 0;
  // Some that are open now are closed meanwhile: the limit is where the highest number in use stands at the lowest.
  setSoftLimit(pid, Math.floor(readdirSync(`/proc/${pid}/fd`).length / 2));
  try {
    const endMs = performance.now() + world.dice.between(1_500, 4_000);
    do {
      // A connection of its own each time: those of the load are open already.
      const answer = await fetch(`http://127.0.0.1:${world.ingestPort}/`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(500) }).catch(() => null);
      if (answer === null) refused++;
      await pause(50);
    } while (performance.now() < endMs);
  } finally {
    // A daemon that has died of it has a new process with the usual limit.
    if (existsSync(`/proc/${pid}`)) setSoftLimit(pid, usual);
  }
  return refused;
}

const clockFile = (world: World): string => join(world.directory, 'clock');
const setClock = (world: World, hours: number): void => {
  writeFileSync(clockFile(world), `${hours < 0 ? '-' : '+'}${Math.abs(hours)}h\n`);
};

async function jump(world: World): Promise<number> {
  const hours = world.dice.pick([1, 2, 3, 5]) * world.dice.pick([1, -1]);
  setClock(world, hours);
  const ahead = async (): Promise<number> => (Date.parse((await world.daemon.hourly('limit=1')).as_of) - Date.now()) / HOUR_MS;
  const jumped = async (by: number): Promise<void> => {
    await world.daemon.until(async () => Math.abs((await ahead().catch(() => NaN)) - by) < 0.2, 30_000, `the clock of the daemon to be ${by} hours off`);
  };
  await jumped(hours);
  await pause(world.dice.between(500, 2_000));
  // Back, or a life that begins with a clock that is wrong.
  if (world.dice.chance(0.5)) {
    await world.daemon.kill();
    await world.start();
    await jumped(hours);
  }
  setClock(world, 0);
  await jumped(0);
  return 1;
}

export const processFaults: readonly Fault[] = [
  {
    name: 'stop',
    what: 'the process stands still for 1 to 4 s',
    how: 'SIGSTOP, SIGCONT',
    needs: [],
    times: 3,
    inflict: stop,
  },
  {
    name: 'descriptors',
    what: 'no file descriptor is free for 1.5 to 4 s',
    how: '`prlimit --nofile` below what is open; felt: connections that get no answer',
    needs: ['prlimit'],
    supervised: true,
    times: 3,
    inflict: exhaustDescriptors,
  },
  {
    name: 'clock',
    what: 'the clock jumps by 1 to 5 hours, forth or back, and back again; half of the times the process is killed in between',
    how: 'libfaketime with a file; felt: `as_of`',
    needs: ['faketime'],
    supervised: false,
    withoutRedis: true,
    times: 3,
    prepare: (world) => {
      setClock(world, 0);
    },
    env: (world) => ({ LD_PRELOAD: faketimeLibrary ?? '', FAKETIME_TIMESTAMP_FILE: clockFile(world), FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
    inflict: jump,
  },
];
