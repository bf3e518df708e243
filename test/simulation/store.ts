/** A store of the simulated daemon: each call is a step, and may take as long as a sync of the disk beside it. */

import type { OrderedStore } from '../../engine/core/store.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { World } from './world.ts';

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
    },
    flushed: async () => {
      await disk.delay?.();
      world.step();
      await store.flushed();
      world.step();
    },
  });
}
