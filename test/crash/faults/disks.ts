/** Disks that are full, fail or are slow. */

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fill } from '../../support/fill.ts';
import { pause } from '../../support/load.ts';
import { Tracer, type Injection } from '../../support/strace.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

const MIB = 1024 ** 2;
const EIO = 'error=EIO';
const ATTACHES_MAX = 3;
const FOLLOWS_MS_MAX = 15_000;

const filesIn = (directory: string, ending: string): string[] => readdirSync(directory).filter((name) => name.endsWith(ending)).map((name) => join(directory, name));
/** Of each ingress thread's journal, those without a writer too. */
const journalFiles = (world: World): string[] =>
  readdirSync(world.dataDir).filter((name) => name.startsWith('journal')).flatMap((name) => filesIn(join(world.dataDir, name), '.segment'));
const storeFiles = (world: World): string[] => [...filesIn(join(world.dataDir, 'state'), '.mdb'), ...filesIn(join(world.dataDir, 'live'), '.mdb')];

interface CallFault {
  readonly name: string;
  readonly what: string;
  readonly calls: readonly string[];
  readonly files: (world: World) => readonly string[];
  readonly fault: (world: World) => string;
}

/** Until calls were met, and then a while on. */
const callFault = ({ name, what, calls, files, fault }: CallFault): Fault => ({
  name,
  what,
  how: `strace on a running process: ${calls.join(', ')}; felt: calls that it met`,
  needs: ['strace'],
  supervised: true,
  times: 3,
  env: () => ({ MILLRACE_CHECKPOINT_INTERVAL_MS: '500' }),
  inflict: async (world) => {
    for (let attempt = 1; !(await inflictOn(world, { name, calls, paths: files(world), fault: fault(world) })); attempt++) {
      if (attempt === ATTACHES_MAX) throw new Error(`${name}: ${ATTACHES_MAX} daemons in a row ended before a call was met`);
      await world.ready();
    }
    return 1;
  },
});

/** False where the daemon was still ending of the fault before, so that the one that follows is to be met. */
async function inflictOn(world: World, { name, ...injection }: Omit<Injection, 'pid'> & { readonly name: string }): Promise<boolean> {
  const { pid } = world;
  const followed = async (): Promise<boolean> => world.daemon.until(() => world.pid !== pid, FOLLOWS_MS_MAX, 'the next daemon').then(() => true, () => false);
  const tracer = await Tracer.attach({ pid, ...injection }).catch(async (error: unknown) => {
    if (await followed()) return null;
    throw error;
  });
  if (tracer === null) return false;
  try {
    await world.daemon.until(() => tracer.injected > 0 || world.pid !== pid, 30_000, 'a call to be met');
    if (tracer.injected > 0) await pause(world.dice.between(100, 2_000));
    return tracer.injected > 0;
  } finally {
    await tracer.detach().then((met) => {
      world.say(`${name}: ${met} calls met`);
    });
  }
}

/** Four times what the feed takes for so much where nothing else runs. */
const DISK_FELT_MS_MAX = 180_000;

async function fillDisk(world: World): Promise<number> {
  const { disk } = world;
  if (disk === null) throw new Error('the run has no disk of its own');
  const [before, restarts] = [world.load.resent, world.restarts];
  const ballast = join(disk.path, 'ballast');
  fill(ballast);
  try {
    // What was zero-filled ahead still takes events, up to 32 MiB of them; then the door says 503.
    await world.daemon.until(() => world.load.resent > before || world.restarts > restarts, DISK_FELT_MS_MAX, 'the full disk to be felt');
    await pause(world.dice.between(500, 3_000));
    fill(join(disk.path, 'rest'));
    await pause(world.dice.between(100, 1_000));
  } finally {
    for (const file of [ballast, join(disk.path, 'rest')]) rmSync(file, { force: true });
  }
  return world.load.resent - before + world.restarts - restarts;
}

export const diskFaults: readonly Fault[] = [
  {
    name: 'disk-full',
    what: 'the disk is filled to its last byte under load, and emptied',
    how: 'tmpfs of 400 MiB, no reserve; felt: requests sent again, deaths',
    needs: ['mount'],
    supervised: true,
    diskBytes: 400 * MIB,
    times: 3,
    // Small segments: little is zero-filled ahead, so a full disk is soon felt, and the whole journal is kept for the replay.
    env: () => ({
      MILLRACE_DISK_RESERVE_BYTES: '0',
      MILLRACE_CHECKPOINT_INTERVAL_MS: '500',
      MILLRACE_JOURNAL_SEGMENT_BYTES: String(16 * MIB),
      MILLRACE_JOURNAL_BYTES_MAX: String(300 * MIB),
    }),
    inflict: fillDisk,
  },
  callFault({ name: 'journal-sync-eio', what: 'syncs of the journal fail', calls: ['fdatasync', 'fsync'], files: journalFiles, fault: () => EIO }),
  callFault({ name: 'journal-write-eio', what: 'writes of the journal fail', calls: ['pwrite64', 'pwritev', 'write'], files: journalFiles, fault: () => EIO }),
  callFault({ name: 'journal-slow', what: 'each sync of the journal takes 50 to 800 ms', calls: ['fdatasync', 'fsync'], files: journalFiles, fault: (world) => `delay_enter=${world.dice.between(50, 800) * 1_000}` }),
  callFault({ name: 'store-sync-eio', what: 'syncs of the LMDB files fail', calls: ['fdatasync', 'fsync', 'msync'], files: storeFiles, fault: () => EIO }),
  callFault({ name: 'store-write-eio', what: 'writes of the LMDB files fail', calls: ['pwrite64', 'pwritev', 'write'], files: storeFiles, fault: () => EIO }),
  callFault({ name: 'store-slow', what: 'each sync of the LMDB files takes 50 to 800 ms', calls: ['fdatasync', 'fsync', 'msync'], files: storeFiles, fault: (world) => `delay_enter=${world.dice.between(50, 800) * 1_000}` }),
];
