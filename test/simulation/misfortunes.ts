/** How each kind of misfortune strikes the world and the life at hand. */

import { dirname } from 'node:path';

import { MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { diskError, type DiskOperation } from '../unit/log/faulty-disk.ts';
import { LAKE } from './lake.ts';
import { dropLetters, retryLetters } from './letters.ts';
import type { Durable, Life } from './life.ts';
import type { People } from './people.ts';
import type { Misfortune, MisfortuneKind } from './schedule.ts';
import type { Senders } from './senders.ts';
import type { World } from './world.ts';

const STOP_LIMIT_MS = 30_000;
/** Steps of a busy daemon in about a second. */
const AMBUSH_STEPS_MAX = 300;
/** Twice the patience of sinks and bucket. */
const HANG_MS_MAX = 30_000;

export interface MisfortunesOptions {
  readonly world: World;
  readonly durable: Durable;
  readonly senders: Senders;
  readonly isLong: boolean;
  /** In stories with erasures. */
  readonly people: People | null;
  readonly lifeAtHand: () => Life | null;
  readonly onBug: (error: unknown) => void;
}

/** A misfortune, whom it strikes, and how long it lasts where it lasts. */
interface Blow extends Misfortune {
  readonly life: Life;
  readonly lastsMs: number;
}

type Strikes<Kind extends MisfortuneKind> = Readonly<Record<Kind, (blow: Blow) => void>>;

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

  strike(misfortune: Misfortune, life: Life): void {
    const { kind } = misfortune;
    const blow: Blow = { ...misfortune, life, lastsMs: 100 + misfortune.extent * 4_000 };
    const strike = { ...this.#deaths, ...this.#disks, ...this.#sinks, ...this.#lakes, ...this.#letters, ...this.#times }[kind];
    strike(blow);
  }

  readonly #deaths: Strikes<'process-death' | 'power-cut' | 'orderly-stop' | 'thread-death' | 'door-death'> = {
    'process-death': ({ extent, choice, life }) => {
      this.#fall(extent, choice, () => {
        life.die(false);
      });
    },
    'power-cut': ({ extent, choice, life }) => {
      this.powerCuts++;
      this.#fall(extent, choice, () => {
        life.die(true);
      });
    },
    'orderly-stop': ({ life }) => {
      this.#stop(life);
    },
    'thread-death': ({ extent, choice, life }) => {
      this.threadDeaths++;
      this.#fall(extent, (choice * 2) % 1, () => {
        if (life.alive) life.threads.kill(Math.floor(choice * 3));
      });
    },
    'door-death': ({ extent, choice, life }) => {
      this.doorDeaths++;
      this.#fall(extent, choice, () => {
        if (life.alive) life.doors[Math.floor(choice * 3) % life.doors.length]?.die();
      });
    },
  };

  readonly #disks: Strikes<'write-error' | 'sync-error' | 'read-error' | 'folder-error' | 'short-writes' | 'full-disk' | 'no-descriptors' | 'slow-disk' | 'store-fails' | 'bit-rot'> = {
    'write-error': ({ extent, choice }) => {
      this.#failNext(['write'], choice < 0.5 ? 'EIO' : 'ENOSPC', extent);
    },
    'sync-error': ({ extent, choice }) => {
      this.#failNext(['sync'], choice < 0.5 ? 'EIO' : 'ENOSPC', extent);
    },
    'read-error': ({ extent }) => {
      this.#failNext(['read'], 'EIO', extent);
    },
    'folder-error': ({ extent }) => {
      this.#failNext(['rename', 'unlink', 'syncDirectory'], 'EIO', extent);
    },
    'short-writes': () => {
      const { disk } = this.#options.durable;
      disk.shortWrite = (length) => 1 + Math.floor(this.#options.world.random() * length);
    },
    'full-disk': ({ lastsMs }) => {
      this.#failFor(lastsMs, 'write', 'ENOSPC');
    },
    'no-descriptors': ({ lastsMs }) => {
      this.#failFor(lastsMs, 'open', 'EMFILE');
    },
    'slow-disk': ({ lastsMs, choice }) => {
      this.#slow(lastsMs, choice);
    },
    'store-fails': ({ choice, life }) => {
      life.failNextCommit(choice);
    },
    'bit-rot': ({ extent, choice, life }) => {
      life.die(false);
      this.#turnBit(extent, choice);
    },
  };

  readonly #sinks: Strikes<'sink-away' | 'sink-mute' | 'sink-hangs' | 'sink-forgets' | 'sink-restored'> = {
    'sink-away': ({ lastsMs }) => {
      const { system } = this.#options.durable;
      system.away = true;
      this.#after(lastsMs * 5, () => (system.away = false));
    },
    'sink-mute': ({ lastsMs }) => {
      const { system } = this.#options.durable;
      system.mute = true;
      this.#after(lastsMs, () => (system.mute = false));
    },
    'sink-hangs': ({ lastsMs, choice }) => {
      const { system } = this.#options.durable;
      system.hangMs = 1 + Math.floor(choice * HANG_MS_MAX);
      this.#after(lastsMs, () => (system.hangMs = 0));
    },
    'sink-forgets': () => {
      this.#options.durable.system.forget();
    },
    'sink-restored': () => {
      this.#options.durable.system.restore();
    },
  };

  readonly #lakes: Strikes<'lake-away' | 'lake-errors' | 'lake-mute' | 'lake-hangs' | 'lake-forgets' | 'lake-restored'> = {
    'lake-away': ({ lastsMs }) => {
      const { lake } = this.#options.durable;
      const setAway = (away: boolean): void => {
        lake.away = away;
        if (lake.bucket !== null) lake.bucket.away = away;
      };
      setAway(true);
      this.#after(lastsMs * 10, () => {
        setAway(false);
      });
    },
    'lake-errors': ({ lastsMs, choice }) => {
      const { bucket } = this.#options.durable.lake;
      if (bucket === null) return;
      bucket.status = choice < 0.5 ? 500 : 503;
      this.#after(lastsMs * 3, () => (bucket.status = 0));
    },
    'lake-mute': ({ lastsMs }) => {
      const { bucket } = this.#options.durable.lake;
      if (bucket === null) return;
      bucket.mute = true;
      this.#after(lastsMs, () => (bucket.mute = false));
    },
    'lake-hangs': ({ lastsMs, choice }) => {
      const { bucket } = this.#options.durable.lake;
      if (bucket === null) return;
      bucket.hangMs = 1 + Math.floor(choice * HANG_MS_MAX);
      this.#after(lastsMs, () => (bucket.hangMs = 0));
    },
    'lake-forgets': () => {
      const { lake, disk } = this.#options.durable;
      if (lake.bucket !== null) lake.bucket.forget(isEvent);
      else for (const folder of ['hourly', 'millrace']) disk.erase(`${LAKE}/${folder}`);
    },
    'lake-restored': () => {
      this.#options.durable.lake.bucket?.restore(isEvent);
    },
  };

  readonly #letters: Strikes<'letters-retried' | 'letters-dropped' | 'erasure'> = {
    'letters-retried': (blow) => {
      retryLetters({ ...blow, onBug: this.#options.onBug });
    },
    'letters-dropped': (blow) => {
      dropLetters({ ...blow, onBug: this.#options.onBug });
    },
    erasure: ({ choice }) => {
      const { people, lifeAtHand, onBug } = this.#options;
      people?.ask(choice, lifeAtHand).catch(onBug);
    },
  };

  readonly #times: Strikes<'clock-jump' | 'silence'> = {
    'clock-jump': ({ choice }) => {
      this.#options.world.jump(Math.round((choice * 6 - 3) * MS_PER_HOUR));
    },
    silence: ({ extent }) => {
      const { senders, world, isLong } = this.#options;
      senders.silentUntilMs = world.clock.monotonicMs() + extent * (isLong ? 90 : 5) * MS_PER_MINUTE;
    },
  };

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
    const segments = disk.paths.filter((path, at, paths) => SEGMENT.test(path) && paths.some((other, place) => place > at && SEGMENT.test(other) && dirname(other) === dirname(path)));
    const path = segments[Math.floor(choice * segments.length)];
    if (path === undefined) return;
    const bytes = disk.bytesOf(path);
    const rot = { path, at: Math.floor(extent * bytes.byteLength), bit: Math.floor(choice * 8_000) % 8 };
    bytes[rot.at] = (bytes[rot.at] as number) ^ (1 << rot.bit);
    this.#rot = rot;
  }
}

const SEGMENT = /\/\d+\.segment$/;

/** What a lake forgets of `events/` nobody can give back to it: README of sinks/lake says so. */
const isEvent = (name: string): boolean => name.startsWith('events/');
