/** A savepoint that is taken under load and started elsewhere, after the daemon that it was taken from was killed. */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runCli } from '../../support/daemon.ts';
import { pause } from '../../support/load.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

/** What the documentation asks of who goes on with the lake: the files of slots that the savepoint has not spooled go first. */
function removeLaterFiles(lake: string, advice: string): void {
  const last = /names sort after (\S+) /.exec(advice)?.[1] ?? '';
  const events = join(lake, 'events');
  if (!existsSync(events)) return;
  for (const name of readdirSync(events, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.parquet') && basename(name) > `${last}-part9999`) rmSync(join(events, name));
  }
}

async function moveOn(world: World): Promise<number> {
  const number = readdirSync(world.directory).filter((name) => name.startsWith('savepoint-')).length;
  const [savepoint, target] = [join(world.directory, `savepoint-${number}`), join(world.directory, `restored-${number}`)];
  const taken = await runCli(['savepoint', 'take', savepoint, '--admin', world.daemon.admin]);
  if (taken.code !== 0) throw new Error(`savepoint take: ${taken.stderr}`);
  // The life that goes on has events that the savepoint does not: their senders send them again at the end.
  await pause(world.dice.between(0, 1_500));
  await world.daemon.kill();
  const restored = await runCli(['savepoint', 'restore', savepoint, '--into', target]);
  if (restored.code !== 0) throw new Error(`savepoint restore: ${restored.stderr}`);
  removeLaterFiles(world.lake.path, restored.stdout);
  world.dataDir = target;
  await world.start();
  return 1;
}

export const savepointFault: Fault = {
  name: 'savepoint',
  what: 'a savepoint is taken, the daemon killed, the savepoint started elsewhere, and all is sent once more',
  how: '`savepoint take`, `savepoint restore`; with the same lake and Redis',
  needs: [],
  supervised: false,
  withoutReplay: true,
  sendsAllAgain: true,
  times: 3,
  inflict: moveOn,
};
