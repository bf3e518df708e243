/** The production desk of erasures as one life has it: its file on the faulty disk, its questions to the actor threads as messages of the world. */

import type { Schedule } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { NO_RESOURCES, type RuleResources } from '../../engine/core/rule-resources.ts';
import { EraseDesk } from '../../engine/erase-desk.ts';
import type { EraseStateData, EraseStateKeeper } from '../../engine/erase-state.ts';
import type { Asker } from '../../engine/runtime/asker.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { Door } from './door.ts';
import { faultyFiles } from './faulty-files.ts';
import type { SimulatedLake } from './lake.ts';
import type { World } from './world.ts';

const SECRET = '5e'.repeat(32);
const STATE_FILE = '/data/erasures/erasures.json';

export const SIMULATED_RESOURCES: RuleResources = { ...NO_RESOURCES, secret: () => Buffer.from(SECRET) };

export interface DeskOptions {
  readonly world: World;
  readonly disk: FaultyDisk;
  readonly partitions: number;
  readonly lake: SimulatedLake;
  readonly asker: Asker;
  /** Where control records are journaled. */
  readonly door: Door;
  readonly isAlive: () => boolean;
  readonly schedule: Schedule;
  readonly onDone: (id: string) => void;
}

/** Raises STATE_CORRUPT where the disk does not give its file. */
export function openDesk({ world, disk, partitions, lake, asker, door, isAlive, schedule, onDone }: DeskOptions): EraseDesk {
  const { clock } = world;
  return new EraseDesk({
    state: keeperOn(disk, isAlive),
    secret: SECRET,
    partitions,
    retentionMs: 0,
    target: lake.target,
    events: lake.events,
    erase: (file, erased) => lake.erase(file, erased),
    asker,
    writeControl: async (bytes) => {
      if (door.batcher === null) throw new EngineError('NOT_READY', 'the door is shut');
      await door.batcher.writeControl(bytes);
    },
    clock,
    log: {
      info: (fields: object) => {
        if ('erasure' in fields) onDone(String(fields.erasure));
      },
      warn: () => undefined,
    },
    world: { monotonicMs: () => clock.monotonicMs(), random: () => world.random(), schedule },
  });
}

/** As writeFileAtomically makes it. */
function keeperOn(disk: FaultyDisk, isAlive: () => boolean): EraseStateKeeper {
  const { direct } = faultyFiles(disk, isAlive, () => false);
  const session = disk.session(isAlive);
  return {
    read: () => {
      if (!disk.paths.includes(STATE_FILE)) return { open: [], done: [], pass: null };
      try {
        return JSON.parse(Buffer.from(direct.read(STATE_FILE)).toString()) as EraseStateData;
      } catch (error) {
        throw new EngineError('STATE_CORRUPT', `${STATE_FILE} cannot be read: ${messageOf(error)}`);
      }
    },
    write: (state) => {
      direct.writeSynced(`${STATE_FILE}.tmp`, Buffer.from(JSON.stringify(state)));
      direct.rename(`${STATE_FILE}.tmp`, STATE_FILE);
      session.syncDirectory('/data/erasures');
    },
  };
}
