/**
 * One simulated story, told by its seed: lives of the daemon, senders that resend until they are answered, misfortunes by schedule; then they
 * end, everything settles, and every checker looks.
 */

import { PARTITION_TABLES } from '../../actors/partition/index.ts';
import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { RecordFlag, RecordSource } from '../../engine/core/record.ts';
import type { Rules } from '../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { readVerdictLog } from '../../engine/core/verdict-log.ts';
import { memoryStore } from '../../engine/state/index.ts';
import type { BatchMember } from '../../ingress/batcher.ts';
import { Model } from '../model/model.ts';
import { FaultyDisk, diskError } from '../unit/log/faulty-disk.ts';
import { checkCheckpoint, checkConservation, checkReplay, checkSink, checkTotals, Visible } from './checks.ts';
import { SimulatedLake } from './lake.ts';
import { JOURNAL, Life, newStores, type Durable, type SimulatedActor } from './life.ts';
import { PLANTS, type Plant } from './plants.ts';
import { scheduleOf, type Misfortune } from './schedule.ts';
import { lifeSettings, storySettings, type LifeSettings, type StorySettings } from './settings.ts';
import { SimulatedSystem } from './sink.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly plant?: string;
  /** Numbers of misfortunes that do not happen. */
  readonly without?: ReadonlySet<number>;
}

export interface SimulationReport {
  readonly messages: number;
  readonly counted: number;
  readonly lives: number;
  readonly misfortunes: number;
  readonly threadDeaths: number;
  readonly powerCuts: number;
  readonly refusedRequests: number;
  readonly damageFound: number;
  readonly lakeSlots: number;
}

/** Simulated time in which a healthy daemon has everything settled: idle partitions, the lake's slot, backoff of the sink. */
const SETTLE_LIMIT_MS = 10 * MS_PER_MINUTE;
const STOP_LIMIT_MS = 30_000;

/** Raises with what a checker found; the message begins with the checker's name. */
export async function simulate({ seed, plant: plantName, without = new Set() }: SimulationOptions): Promise<SimulationReport> {
  const plant = plantName === undefined ? null : PLANTS[plantName];
  if (plant === undefined) throw new Error(`no such plant: ${plantName}; use one of ${Object.keys(PLANTS).join(', ')}`);
  return new Simulation(seed, plant, scheduleOf(seed).filter(({ number }) => !without.has(number))).run();
}

/** One request: done with once all of its records are durable, sent again when anything else happens to it. */
class Client implements BatchMember {
  appending = true;
  batchesPending = 0;
  lastBatch = 0;
  failure: EngineError | null = null;
  readonly bodies: readonly Buffer[];
  readonly #done: (client: Client) => void;

  constructor(bodies: readonly Buffer[], done: (client: Client) => void) {
    this.bodies = bodies;
    this.#done = done;
  }

  settled(): void {
    this.#done(this);
  }

  resume(): void {
    throw new Error('bug: no client was parked');
  }
}

interface Rot {
  readonly path: string;
  readonly at: number;
  readonly bit: number;
}

class Simulation {
  readonly #world: World;
  readonly #plant: Plant | null;
  readonly #schedule: readonly Misfortune[];
  readonly #story: StorySettings;
  readonly #model: Model;
  readonly #visible = new Visible();
  readonly #durable: Durable;
  readonly #dedupe: Rules['dedupe'];
  /** Bodies that have no answer yet and are not under way. */
  readonly #unanswered: Buffer[] = [];
  /** Requests that the life at hand holds. */
  readonly #underWay = new Set<Client>();
  #messages = 0;
  /** By the model. */
  #counted = 0;
  #life: Life | null = null;
  #settings!: LifeSettings;
  #lives = 0;
  #threadDeaths = 0;
  #powerCuts = 0;
  #refused = 0;
  #damageFound = 0;
  #rot: Rot | null = null;
  #silentUntilMs = 0;
  #faults = true;
  /** Long enough without faults. */
  #isCalm = false;
  #bug: Error | null = null;
  #toMake: number;
  readonly #seed: number;

  /** The first counts. */
  readonly #found = (error: unknown): void => {
    this.#bug ??= error instanceof Error ? error : new Error(String(error));
  };

  constructor(seed: number, plant: Plant | null, schedule: readonly Misfortune[]) {
    this.#seed = seed;
    this.#world = new World(seed);
    this.#plant = plant;
    this.#schedule = schedule;
    this.#story = storySettings(seed);
    this.#dedupe = plant?.forgetsRepeats === true ? 'none' : 'push-ms';
    this.#model = new Model();
    const disk = new FaultyDisk();
    const { partitionCount } = this.#story;
    this.#durable = { disk, ...newStores(partitionCount), lake: new SimulatedLake({ disk, journal: JOURNAL, partitionCount }), system: new SimulatedSystem() };
    if (plant?.lake !== undefined) this.#durable.lake.disturb = plant.lake;
    if (plant?.syncLies === true) disk.lies = () => this.#world.chance(0.2);
    this.#toMake = this.#world.pick(20, 150);
  }

  async run(): Promise<SimulationReport> {
    const world = this.#world;
    void this.#daemon();
    this.#sender().catch(this.#found);
    this.#misfortune().catch(this.#found);
    await world.run(() => this.#bug !== null || this.#isCalm, MS_PER_DAY);
    if (this.#bug !== null) throw this.#bug;
    await this.#look(this.#life as Life);
    return {
      messages: this.#messages,
      counted: this.#counted,
      lives: this.#lives,
      misfortunes: this.#schedule.length,
      threadDeaths: this.#threadDeaths,
      powerCuts: this.#powerCuts,
      refusedRequests: this.#refused,
      damageFound: this.#damageFound,
      lakeSlots: this.#durable.lake.slotCount,
    };
  }

  async #look(life: Life): Promise<void> {
    const { disk, lake, system, partitions } = this.#durable;
    checkConservation(life.live, this.#model);
    checkTotals(life.live, this.#model);
    checkSink(life.live, system);
    if (lake.rowCount !== this.#counted) throw new Error(`lake: ${lake.rowCount} rows, the model has ${this.#counted}`);
    const oldest = life.writer?.stats().oldestOffset ?? 0;
    lake.checkRewrites(oldest, (share) => Math.min(...[...readVerdictLog(share.entries)].map(({ batchOffset }) => batchOffset)));
    const hashes = life.stateHashes();
    checkReplay(disk, life.words.durableOffset, partitions.map((store) => store.fork()), hashes);
    if (!this.#story.retains) checkReplay(disk, life.words.durableOffset, partitions.map(() => memoryStore(PARTITION_TABLES)), hashes);
    await Promise.resolve();
  }

  /** Starts the daemon again and again, as its parent does. */
  async #daemon(): Promise<void> {
    const world = this.#world;
    for (;;) {
      this.#lives++;
      this.#settings = lifeSettings(this.#seed, this.#lives, this.#story, this.#dedupe);
      this.#durable.lake.newLife(this.#settings.rowsPerFile);
      const life = this.#newLife(this.#settings);
      this.#life = life;
      try {
        await life.start();
      } catch (error) {
        this.#startFailed(life, error);
      }
      while (life.alive) await world.sleep(10);
      this.#abandonRequests();
      await world.sleep(world.pick(1, 3_000));
    }
  }

  #newLife(settings: LifeSettings): Life {
    const plant = this.#plant;
    const life: Life = new Life({
      world: this.#world,
      durable: this.#durable,
      story: this.#story,
      settings,
      plant,
      onVisible: (output) => {
        this.#guarded(() => {
          this.#visible.written(output);
        });
      },
      onReady: (live) => {
        this.#guarded(() => {
          this.#visible.ready(live);
        });
      },
      onCheckpoint: (actor: SimulatedActor) => {
        this.#guarded(() => {
          checkCheckpoint(plant?.actor?.(actor) ?? actor);
        });
      },
      onFatal: (error) => {
        this.#gaveUp(life, error);
      },
      onBug: this.#found,
    });
    return life;
  }

  /** A disk that fails while the journal is opened ends the life, and so does damage; anything else is a bug. */
  #startFailed(life: Life, error: unknown): void {
    if (!life.alive) return;
    if (error instanceof EngineError && error.code === 'JOURNAL_CORRUPT') this.#gaveUp(life, error);
    else {
      if (!this.#faults) this.#found(error);
      life.die(this.#durable.disk.dead);
    }
  }

  /** Right only where there is damage: it is mended then, as an operator would. */
  #gaveUp(life: Life, error: EngineError): void {
    if (!life.alive) return;
    if (this.#rot === null || error.code !== 'JOURNAL_CORRUPT') {
      this.#found(error);
      return;
    }
    this.#damageFound++;
    life.die(false);
    this.#repair();
  }

  /** Makes messages, and sends what has no answer, in requests of several records. */
  async #sender(): Promise<void> {
    const world = this.#world;
    const generator = createGenerator({ seed: this.#seed, ratePerMinute: 60_000, startMs: world.clock.nowMs(), users: 50, campaigns: 4, apps: 2, garbageShare: 0.03, resendShare: 0.1, followsClock: true });
    const startMs = world.clock.nowMs();
    const made: Buffer[] = [];
    for (;;) {
      if (this.#toMake > 0 && world.chance(0.7)) {
        for (let count = world.pick(1, 6); count > 0 && this.#toMake > 0; count--, this.#toMake--) {
          const message = generator.next(startMs + this.#messages * 10);
          if (message.method !== 'POST') continue;
          this.#messages++;
          const body = Buffer.from(message.body);
          made.push(body);
          this.#unanswered.push(body);
        }
        // AppsFlyer sends some of what was answered long ago once more.
        if (made.length > 0 && world.chance(0.15)) this.#unanswered.push(made[world.pick(0, made.length - 1)] as Buffer);
      }
      this.#send();
      if (world.clock.monotonicMs() < this.#silentUntilMs) await world.sleep(this.#silentUntilMs - world.clock.monotonicMs());
      else await world.sleep(world.chance(0.1) ? world.pick(100, 5_000) : world.pick(1, 60));
    }
  }

  #send(): void {
    const world = this.#world;
    const life = this.#life;
    for (let requests = world.pick(1, 4); requests > 0 && this.#unanswered.length > 0; requests--) {
      if (life === null || !life.alive || life.batcher === null) return;
      const bodies: Buffer[] = [];
      for (let count = world.pick(1, 5); count > 0 && this.#unanswered.length > 0; count--) bodies.push(this.#unanswered.splice(world.pick(0, this.#unanswered.length - 1), 1)[0] as Buffer);
      const client = new Client(bodies, this.#answered);
      this.#underWay.add(client);
      const taken = bodies.every((body) => {
        life.partitioner.locate(body, 0, body.byteLength);
        const { partition, flags } = life.partitioner;
        return life.batcher?.append(client, partition, RecordSource.push, flags === RecordFlag.none ? 0 : flags, body, 0, body.byteLength) ?? false;
      });
      if (!taken) this.#again(client);
      client.appending = false;
    }
  }

  readonly #answered = (client: Client): void => {
    if (!this.#underWay.delete(client)) return;
    if (client.failure !== null && this.#plant?.acknowledgesFailures !== true) {
      this.#again(client);
      return;
    }
    const receivedAtMs = this.#world.clock.nowMs();
    for (const body of client.bodies) if (this.#model.deliver({ body: body.toString(), method: 'POST', receivedAtMs }).verdict === 'counted') this.#counted++;
  };

  /** Some of it may be durable all the same. */
  #again(client: Client): void {
    this.#underWay.delete(client);
    this.#refused++;
    this.#unanswered.push(...client.bodies);
  }

  /** Their connections are gone. */
  #abandonRequests(): void {
    for (const client of [...this.#underWay]) this.#again(client);
  }

  async #misfortune(): Promise<void> {
    const world = this.#world;
    const startMs = world.clock.monotonicMs();
    for (const misfortune of this.#schedule) {
      await world.sleep(startMs + misfortune.atMs - world.clock.monotonicMs());
      if (world.chance(0.3)) this.#durable.system.copy();
      const life = this.#life;
      if (life !== null && life.alive) this.#strike(misfortune, life);
    }
    // What lasts for a while is over by itself, at the latest now.
    await world.sleep(world.pick(1, 5_000));
    this.#repair();
    const { disk, lake, system } = this.#durable;
    disk.fault = null;
    disk.shortWrite = null;
    disk.delay = null;
    lake.away = false;
    system.recover();
    world.setClockRight();
    this.#faults = false;
    await this.#calm();
  }

  async #calm(): Promise<void> {
    const world = this.#world;
    const deadlineMs = world.clock.monotonicMs() + SETTLE_LIMIT_MS;
    await this.#settled(deadlineMs);
    // A sink that lost its values notices by its marker, and only then has something to do again.
    await world.sleep(2 * this.#settings.markerCheckMs + 1_000);
    await this.#settled(deadlineMs);
    this.#isCalm = true;
  }

  async #settled(deadlineMs: number): Promise<void> {
    const world = this.#world;
    while (!this.#isSettled()) {
      this.#durable.lake.pump();
      if (world.clock.monotonicMs() > deadlineMs) throw new Error(`liveness: not settled ${SETTLE_LIMIT_MS} ms after the last fault: ${this.#unanswered.length} unanswered, ready ${this.#life?.ready}, caught up ${this.#life?.isCaughtUp}, lake ${String(this.#durable.lake)} of ${this.#counted}, slots waiting ${this.#life?.actors.map((actor) => `${actor.id}: ${String(actor.stats().slotsWaiting)}`).join(' ')}, sink settled ${this.#life?.sinkIsSettled}, ${JSON.stringify(this.#life?.live.conservation())}`);
      await world.sleep(500);
    }
  }

  #strike({ kind, extent, choice }: Misfortune, life: Life): void {
    const world = this.#world;
    const { disk, system, lake } = this.#durable;
    const lastsMs = 100 + extent * 4_000;
    switch (kind) {
      case 'process-death':
        life.die(false);
        break;
      case 'power-cut':
        this.#powerCuts++;
        life.die(true);
        break;
      case 'orderly-stop':
        this.#stop(life);
        break;
      case 'thread-death':
        if (life.writer === null) break;
        this.#threadDeaths++;
        life.killThread(Math.floor(choice * 3));
        break;
      case 'write-error':
      case 'sync-error': {
        const operation = kind === 'write-error' ? 'write' : 'sync';
        const code = choice < 0.5 ? 'EIO' : 'ENOSPC';
        let left = 1 + Math.floor(extent * 4);
        disk.fault = (what) => (what === operation && left-- > 0 ? diskError(code) : null);
        break;
      }
      case 'short-writes':
        disk.shortWrite = (length) => 1 + Math.floor(world.random() * length);
        break;
      case 'full-disk':
        this.#disturbFor(lastsMs, 'write', 'ENOSPC');
        break;
      case 'no-descriptors':
        this.#disturbFor(lastsMs, 'open', 'EMFILE');
        break;
      case 'slow-disk': {
        const delay = (): Promise<void> => world.sleep(world.pick(0, 1 + Math.floor(choice * 500)));
        disk.delay = delay;
        this.#after(lastsMs, () => {
          if (disk.delay === delay) disk.delay = null;
        });
        break;
      }
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
        system.hangMs = Math.floor(choice * 150_000);
        this.#after(lastsMs, () => (system.hangMs = 0));
        break;
      case 'sink-forgets':
        system.forget();
        break;
      case 'sink-restored':
        system.restore();
        break;
      case 'lake-away':
        lake.away = true;
        this.#after(lastsMs * 10, () => {
          lake.away = false;
          this.#guarded(() => {
            lake.pump();
          });
        });
        break;
      case 'clock-jump':
        world.jump(Math.round((choice * 6 - 3) * MS_PER_HOUR));
        break;
      case 'silence':
        this.#silentUntilMs = world.clock.monotonicMs() + extent * 5 * MS_PER_MINUTE;
        break;
    }
  }

  /** Drains as after SIGTERM; a drain that takes too long is cut short. */
  #stop(life: Life): void {
    const world = this.#world;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      if (life.alive) life.die(false);
    };
    life.stop().then(end, (error: unknown) => {
      if (life.alive) this.#found(error);
      end();
    });
    void world.schedule(STOP_LIMIT_MS, end);
  }

  #after(delayMs: number, callback: () => void): void {
    void this.#world.schedule(delayMs, callback);
  }

  #disturbFor(lastsMs: number, operation: 'write' | 'open', code: string): void {
    const { disk } = this.#durable;
    const fault = (what: string): Error | null => (what === operation ? diskError(code) : null);
    disk.fault = fault;
    this.#after(lastsMs, () => {
      if (disk.fault === fault) disk.fault = null;
    });
  }

  /** In any segment but the newest: there nobody could tell damage from a torn tail. */
  #turnBit(extent: number, choice: number): void {
    this.#repair();
    const { disk, lake } = this.#durable;
    const segments = disk.paths.filter((path) => /\/\d+\.segment$/.test(path)).slice(0, -1);
    const path = segments[Math.floor(choice * segments.length)];
    if (path === undefined) return;
    const bytes = disk.bytesOf(path);
    const rot = { path, at: Math.floor(extent * bytes.byteLength), bit: Math.floor(choice * 8_000) % 8 };
    bytes[rot.at] = (bytes[rot.at] as number) ^ (1 << rot.bit);
    this.#rot = rot;
    lake.damaged = true;
  }

  #repair(): void {
    const rot = this.#rot;
    const { disk, lake } = this.#durable;
    this.#rot = null;
    lake.damaged = false;
    // Retired meanwhile: nothing is read from it any more.
    if (rot === null || !disk.paths.includes(rot.path)) return;
    const bytes = disk.bytesOf(rot.path);
    bytes[rot.at] = (bytes[rot.at] as number) ^ (1 << rot.bit);
  }

  #isSettled(): boolean {
    const life = this.#life;
    return this.#toMake <= 0 && this.#unanswered.length === 0 && this.#underWay.size === 0 && life !== null && life.alive && life.writer !== null && life.isCaughtUp && life.sinkIsSettled && this.#durable.lake.rowCount >= this.#counted;
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#found(error);
    }
  }
}
