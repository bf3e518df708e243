/** A store of the simulated daemon: each call is a step, and may take as long as a sync of the disk beside it. */

import type { OrderedStore } from '../../engine/core/store.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { World } from './world.ts';

const TOLD_MS_MAX = 10;

/** The object with some of its methods replaced; the others are its own, private fields included. */
export function altered<Value extends object>(value: Value, changes: Partial<Value>): Value {
  return new Proxy(value, {
    get: (target, name) => {
      const own: unknown = name in changes ? changes[name as keyof Value] : Reflect.get(target, name, target);
      return typeof own === 'function' && !(name in changes) ? (own as (...all: unknown[]) => unknown).bind(target) : own;
    },
  });
}

export function inWorld(store: OrderedStore, world: World, disk: FaultyDisk): OrderedStore {
  return altered(store, {
    commit: async (operations) => {
      world.step();
      await disk.delay?.();
      await store.commit(operations);
      world.step();
      // Readers see what was committed before its thread is told, as with lmdb, which commits on a thread of its own.
      if (world.chance(0.5)) await world.sleep(world.pick(0, TOLD_MS_MAX));
    },
    flushed: async () => {
      await disk.delay?.();
      world.step();
      await store.flushed();
      world.step();
    },
  });
}
