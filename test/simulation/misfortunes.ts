/** How each kind of misfortune strikes the world and the life at hand. */

import { MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { diskError, type DiskOperation } from '../unit/log/faulty-disk.ts';
import { LAKE } from './lake.ts';
import type { Durable, Life } from './life.ts';
import type { Misfortune } from './schedule.ts';
import type { Senders } from './senders.ts';
import type { World } from './world.ts';

const STOP_LIMIT_MS = 30_000;
/** Steps of a busy daemon in about a second. */
const AMBUSH_STEPS_MAX = 300;

export interface MisfortunesOptions {
  readonly world: World;
  readonly durable: Durable;
  readonly senders: Senders;
  readonly isLong: boolean;
  readonly onBug: (error: unknown) => void;
}

interface Rot {
  readonly path: string;
  readonly at: number;
  readonly bit: number;
}

export class Misfortunes {
  readonly #options: MisfortunesOptions;
  #rot: Rot | null = null;
  threadDeaths = 0;
  doorDeaths = 0;
  powerCuts = 0;
  /** Deaths in the middle of a run of production code. */
  ambushes = 0;

  constructor(options: MisfortunesOptions) {
    this.#options = options;
  }

  /** There is damage on disk. */
  get isRotten(): boolean {
    return this.#rot !== null;
  }

  strike({ kind, extent, choice }: Misfortune, life: Life): void {
    const { world, durable, senders, isLong } = this.#options;
    const { disk, system, lake } = durable;
    const { bucket } = lake;
    const lastsMs = 100 + extent * 4_000;
    switch (kind) {
      case 'process-death':
        this.#fall(extent, choice, () => {
          life.die(false);
        });
        break;
      case 'power-cut':
        this.powerCuts++;
        this.#fall(extent, choice, () => {
          life.die(true);
        });
        break;
      case 'orderly-stop':
        this.#stop(life);
        break;
      case 'thread-death':
        this.threadDeaths++;
        this.#fall(extent, choice * 2 % 1, () => {
          if (life.alive) life.threads.kill(Math.floor(choice * 3));
        });
        break;
      case 'door-death':
        this.doorDeaths++;
        this.#fall(extent, choice, () => {
          if (life.alive) life.door.die();
        });
        break;
      case 'write-error':
        this.#failNext(['write'], choice < 0.5 ? 'EIO' : 'ENOSPC', extent);
        break;
      case 'sync-error':
        this.#failNext(['sync'], choice < 0.5 ? 'EIO' : 'ENOSPC', extent);
        break;
      case 'read-error':
        this.#failNext(['read'], 'EIO', extent);
        break;
      case 'folder-error':
        this.#failNext(['rename', 'unlink', 'syncDirectory'], 'EIO', extent);
        break;
      case 'short-writes':
        disk.shortWrite = (length) => 1 + Math.floor(world.random() * length);
        break;
      case 'full-disk':
        this.#failFor(lastsMs, 'write', 'ENOSPC');
        break;
      case 'no-descriptors':
        this.#failFor(lastsMs, 'open', 'EMFILE');
        break;
      case 'slow-disk':
        this.#slow(lastsMs, choice);
        break;
      case 'store-fails':
        life.failNextCommit(choice);
        break;
      case 'bit-rot':
        life.die(false);
        this.#turnBit(extent, choice);
        break;
      case 'sink-away':
        system.away = true;
        this.#after(lastsMs * 5, () => (system.away = false));
        break;
      case 'sink-mute':
        system.mute = true;
        this.#after(lastsMs, () => (system.mute = false));
        break;
      case 'sink-hangs':
        system.hangMs = 1 + Math.floor(choice * 30_000);
        this.#after(lastsMs, () => (system.hangMs = 0));
        break;
      case 'sink-forgets':
        system.forget();
        break;
      case 'sink-restored':
        system.restore();
        break;
      case 'lake-away':
        if (bucket === null) lake.away = true;
        else bucket.away = true;
        this.#after(lastsMs * 10, () => {
          lake.away = false;
          if (bucket !== null) bucket.away = false;
        });
        break;
      case 'lake-errors':
        if (bucket === null) break;
        bucket.status = choice < 0.5 ? 500 : 503;
        this.#after(lastsMs * 3, () => (bucket.status = 0));
        break;
      case 'lake-mute':
        if (bucket === null) break;
        bucket.mute = true;
        this.#after(lastsMs, () => (bucket.mute = false));
        break;
      case 'lake-hangs':
        if (bucket === null) break;
        bucket.hangMs = 1 + Math.floor(choice * 30_000);
        this.#after(lastsMs, () => (bucket.hangMs = 0));
        break;
      case 'lake-forgets':
        if (bucket !== null) bucket.forget(isEvent);
        else for (const folder of ['hourly', 'millrace']) disk.erase(`${LAKE}/${folder}`);
        break;
      case 'lake-restored':
        bucket?.restore(isEvent);
        break;
      case 'clock-jump':
        world.jump(Math.round((choice * 6 - 3) * MS_PER_HOUR));
        break;
      case 'silence':
        senders.silentUntilMs = world.clock.monotonicMs() + extent * (isLong ? 90 : 5) * MS_PER_MINUTE;
        break;
    }
  }

  /** What lasts for a while is over. */
  end(): void {
    const { disk, lake, system } = this.#options.durable;
    this.repair();
    disk.fault = null;
    disk.shortWrite = null;
    disk.delay = null;
    lake.away = false;
    lake.bucket?.recover();
    system.recover();
    this.#options.world.setClockRight();
  }

  /** As an operator would. */
  repair(): void {
    const rot = this.#rot;
    const { disk } = this.#options.durable;
    this.#rot = null;
    // Retired meanwhile: nothing is read from it any more.
    if (rot === null || !disk.paths.includes(rot.path)) return;
    const bytes = disk.bytesOf(rot.path);
    bytes[rot.at] = (bytes[rot.at] as number) ^ (1 << rot.bit);
  }

  /** At once, or in the middle of what production code does next. */
  #fall(extent: number, choice: number, strike: () => void): void {
    if (choice < 0.4) {
      strike();
      return;
    }
    this.ambushes++;
    this.#options.world.ambush(1 + Math.floor(extent * extent * AMBUSH_STEPS_MAX), strike);
  }

  /** Drains as after SIGTERM; a drain that takes too long is cut short. */
  #stop(life: Life): void {
    const { world, onBug } = this.#options;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      life.die(false);
    };
    life.stop().then(end, (error: unknown) => {
      if (life.alive) onBug(error);
      end();
    });
    void world.schedule(STOP_LIMIT_MS, end);
  }

  #slow(lastsMs: number, choice: number): void {
    const { world, durable } = this.#options;
    const { disk } = durable;
    const delay = (): Promise<void> => world.sleep(world.pick(0, 1 + Math.floor(choice * 500)));
    disk.delay = delay;
    this.#after(lastsMs, () => {
      if (disk.delay === delay) disk.delay = null;
    });
  }

  #after(delayMs: number, callback: () => void): void {
    void this.#options.world.schedule(delayMs, callback);
  }

  #failNext(operations: readonly DiskOperation[], code: string, extent: number): void {
    let left = 1 + Math.floor(extent * 4);
    this.#options.durable.disk.fault = (operation) => (operations.includes(operation) && left-- > 0 ? diskError(code) : null);
  }

  #failFor(lastsMs: number, operation: DiskOperation, code: string): void {
    const { disk } = this.#options.durable;
    const fault = (what: DiskOperation): Error | null => (what === operation ? diskError(code) : null);
    disk.fault = fault;
    this.#after(lastsMs, () => {
      if (disk.fault === fault) disk.fault = null;
    });
  }

  /** In any segment but the newest: there nobody could tell damage from a torn tail. */
  #turnBit(extent: number, choice: number): void {
    this.repair();
    const { disk } = this.#options.durable;
    const segments = disk.paths.filter((path) => /\/\d+\.segment$/.test(path)).slice(0, -1);
    const path = segments[Math.floor(choice * segments.length)];
    if (path === undefined) return;
    const bytes = disk.bytesOf(path);
    const rot = { path, at: Math.floor(extent * bytes.byteLength), bit: Math.floor(choice * 8_000) % 8 };
    bytes[rot.at] = (bytes[rot.at] as number) ^ (1 << rot.bit);
    this.#rot = rot;
  }
}

/** What a lake forgets of `events/` nobody can give back to it: README of sinks/lake says so. */
const isEvent = (name: string): boolean => name.startsWith('events/');
