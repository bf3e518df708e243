/**
 * One simulated story, told by its seed: lives of the daemon, senders that resend until they are answered, misfortunes by schedule; then they
 * end, everything settles, and every checker looks.
 */

import { PARTITION_TABLES } from '../../actors/partition/index.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { Rules } from '../../engine/core/rules.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { memoryStore, type MemoryStore } from '../../engine/state/index.ts';
import { Model } from '../model/model.ts';
import { FaultyDisk } from '../unit/log/faulty-disk.ts';
import { SimulatedBucket } from './bucket.ts';
import { checkErasedFiles, checkErasedLetters } from './checks-erased.ts';
import { checkLake } from './checks-lake.ts';
import { checkCheckpoint, checkConservation, checkReplay, checkSink, checkTotals, Visible } from './checks.ts';
import type { Door } from './door.ts';
import { LakeMemory } from './lake.ts';
import { INSTANCE, Life, newStores, type Durable } from './life.ts';
import { Misfortunes } from './misfortunes.ts';
import { People } from './people.ts';
import { PLANTS, type Plant } from './plants.ts';
import { hasErasures, scheduleOf, type Misfortune } from './schedule.ts';
import { Senders } from './senders.ts';
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
  readonly pullRows: number;
  readonly counted: number;
  readonly lives: number;
  readonly misfortunes: number;
  readonly threadDeaths: number;
  readonly doorDeaths: number;
  readonly powerCuts: number;
  readonly deathsAtSteps: number;
  readonly refusedRequests: number;
  readonly damageFound: number;
  readonly lakeSlots: number;
  readonly erased: number;
  readonly replays: number;
}

/** Simulated time in which a healthy daemon has everything settled: idle partitions, the lake's slot, backoff of the sinks. */
const SETTLE_LIMIT_MS = 10 * MS_PER_MINUTE;
const STORY_LIMIT_MS = 48 * MS_PER_HOUR;
/** States of the stores that are kept, to be replayed from in the end. */
const COPIES_MAX = 3;

/** Raises with what a checker found; the message begins with the checker's name. */
export async function simulate({ seed, plant: plantName, without = new Set() }: SimulationOptions): Promise<SimulationReport> {
  const plant = plantName === undefined ? null : PLANTS[plantName];
  if (plant === undefined) throw new Error(`no such plant: ${plantName}; use one of ${Object.keys(PLANTS).join(', ')}`);
  return new Simulation(seed, plant, scheduleOf(seed).filter(({ number }) => !without.has(number))).run();
}

class Simulation {
  readonly #world: World;
  readonly #plant: Plant | null;
  readonly #schedule: readonly Misfortune[];
  readonly #story: StorySettings;
  readonly #model: Model;
  /** In stories with erasures. */
  readonly #people: People | null;
  readonly #visible = new Visible();
  readonly #durable: Durable;
  readonly #senders: Senders;
  readonly #misfortunes: Misfortunes;
  /** Stores as a power cut would have left them at some moments of the story: what is not flushed proves nothing, and the log may end before it. */
  readonly #copies: MemoryStore[][] = [];
  readonly #seed: number;
  /** By the model. */
  #counted = 0;
  #life: Life | null = null;
  #settings!: LifeSettings;
  #lives = 0;
  #damageFound = 0;
  #faults = true;
  /** Long enough without faults. */
  #isCalm = false;
  #bug: Error | null = null;

  /** The first counts. */
  readonly #found = (error: unknown): void => {
    this.#bug ??= error instanceof Error ? error : new Error(String(error));
  };

  constructor(seed: number, plant: Plant | null, schedule: readonly Misfortune[]) {
    this.#seed = seed;
    const world = new World(seed);
    this.#world = world;
    this.#plant = plant;
    this.#schedule = schedule;
    this.#story = storySettings(seed);
    const hasPull = this.#story.pullFromLife > 0;
    this.#model = new Model({ dedupe: hasPull ? 'push+pull-seconds' : 'push-ms' });
    this.#people = hasErasures(seed) ? new People(world, this.#found) : null;
    const disk = new FaultyDisk();
    disk.onStep = world.step;
    disk.isLogging = false;
    if (plant?.syncLies === true) disk.lies = () => world.chance(0.2);
    const { partitionCount, inBucket, isLong, dedupeHorizonMs } = this.#story;
    this.#durable = { disk, ...newStores(partitionCount), lake: new LakeMemory(disk, inBucket ? new SimulatedBucket(world) : null, this.#people), system: new SimulatedSystem() };
    this.#senders = new Senders({
      world,
      seed,
      count: world.pick(20, 150),
      repeatMsMax: 0.9 * dedupeHorizonMs,
      hasPull,
      mayPull: () => this.#lives >= this.#story.pullFromLife,
      acknowledgesFailures: plant?.acknowledgesFailures === true,
      door: () => this.#anyDoor(),
      onSent: (body, source) => {
        this.#people?.sent(body, source);
      },
      onAnswered: (body, receivedAtMs) => {
        const isCounted = this.#model.deliver({ body, method: 'POST', receivedAtMs }).verdict === 'counted';
        if (isCounted) this.#counted++;
        this.#people?.answered(body, isCounted);
      },
      onBug: this.#found,
    });
    this.#misfortunes = new Misfortunes({ world, durable: this.#durable, senders: this.#senders, isLong, people: this.#people, lifeAtHand: () => this.#life, onBug: this.#found });
  }

  async run(): Promise<SimulationReport> {
    this.#daemon().catch(this.#found);
    this.#senders.run().catch(this.#found);
    this.#tell().catch(this.#found);
    await this.#world.run(() => this.#bug !== null || this.#isCalm, STORY_LIMIT_MS);
    if (this.#bug !== null) throw this.#bug;
    const replays = await this.#look(this.#life as Life);
    const { threadDeaths, doorDeaths, powerCuts, ambushes } = this.#misfortunes;
    return {
      messages: this.#senders.messages,
      pullRows: this.#senders.pullRows,
      counted: this.#counted,
      lives: this.#lives,
      misfortunes: this.#schedule.length,
      threadDeaths,
      doorDeaths,
      powerCuts,
      deathsAtSteps: ambushes,
      refusedRequests: this.#senders.refused,
      damageFound: this.#damageFound,
      lakeSlots: this.#durable.lake.slots.size,
      erased: this.#people?.asked.length ?? 0,
      replays,
    };
  }

  /** Every checker; returns how often the log was folded again. */
  async #look(life: Life): Promise<number> {
    const { disk, lake, system, partitions } = this.#durable;
    checkConservation(life.live, this.#model);
    checkTotals(life.live, this.#model);
    checkSink(life.live, system);
    const { journals } = life;
    const oldest = life.oldestOffsets();
    await checkLake({ lake, feed: life.live, disk, journals, oldestOffsets: oldest, counted: this.#counted });
    if (this.#people !== null) {
      checkErasedFiles(lake, this.#people);
      checkErasedLetters(life.threads.actors, this.#people);
    }
    const hashes = life.threads.actors.map((actor) => actor.stateHash());
    const replay = (stores: readonly MemoryStore[]): boolean => checkReplay({ disk, journals, instance: INSTANCE, durable: life.words.journals.durableOffsets, oldest, stores, hashes, threads: this.#world.pick(1, stores.length) });
    let replays = 0;
    for (const stores of [partitions.map((store) => store.fork()), ...this.#copies]) if (replay(stores)) replays++;
    if (!this.#story.retains && replay(partitions.map(() => memoryStore(PARTITION_TABLES)))) replays++;
    return replays;
  }

  #anyDoor(): Door | null {
    const life = this.#life;
    if (life?.alive !== true) return null;
    return life.doors[life.doors.length === 1 ? 0 : this.#world.pick(0, life.doors.length - 1)] as Door;
  }

  /** Starts the daemon again and again, as its parent does. */
  async #daemon(): Promise<void> {
    const world = this.#world;
    for (;;) {
      this.#lives++;
      this.#settings = lifeSettings(this.#seed, this.#lives, this.#story, this.#dedupe);
      const life = this.#newLife(this.#settings);
      this.#life = life;
      life.start().catch((error: unknown) => {
        this.#startFailed(life, error);
      });
      await life.over();
      await world.sleep(world.pick(1, 3_000));
      // A machine that comes back may have another idea of the time.
      if (this.#faults && world.chance(0.1)) world.jump(world.pick(-3 * MS_PER_HOUR, 3 * MS_PER_HOUR));
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
      onCheckpoint: (actor) => {
        this.#guarded(() => {
          checkCheckpoint(plant?.actor?.(actor) ?? actor);
        });
      },
      onClosed: (batcher) => {
        this.#senders.abandon(batcher);
      },
      onErased: (id) => {
        this.#people?.done(id);
        this.#guarded(() => {
          if (this.#people !== null) checkErasedFiles(this.#durable.lake, this.#people, id);
        });
      },
      onFatal: (error) => {
        this.#gaveUp(life, error);
      },
      onBug: this.#found,
    });
    return life;
  }

  /** A disk that fails while the spool is opened ends the life; anything else is a bug. */
  #startFailed(life: Life, error: unknown): void {
    if (!life.alive) return;
    if (!this.#faults || !(error instanceof EngineError)) this.#found(error);
    life.die(false);
  }

  /** Right only where there is damage, which is mended then as an operator would, or where the disk fails again and again. */
  #gaveUp(life: Life, error: EngineError): void {
    if (!life.alive) return;
    if (error.retryable && this.#faults) {
      life.die(false);
      return;
    }
    if (!this.#misfortunes.isRotten || error.code !== 'JOURNAL_CORRUPT') {
      this.#found(error);
      return;
    }
    this.#damageFound++;
    life.die(false);
    this.#misfortunes.repair();
  }

  /** Of the life that begins. */
  get #dedupe(): Rules['dedupe'] {
    if (this.#plant?.forgetsRepeats === true) return 'none';
    const { pullFromLife } = this.#story;
    return pullFromLife === 0 || this.#lives < pullFromLife || this.#plant?.comparesMilliseconds === true ? 'push-ms' : 'push+pull-seconds';
  }

  async #tell(): Promise<void> {
    const world = this.#world;
    const startMs = world.clock.monotonicMs();
    for (const misfortune of this.#schedule) {
      await world.sleep(startMs + misfortune.atMs - world.clock.monotonicMs());
      this.#takeCopies();
      const life = this.#life;
      if (life !== null && life.alive) this.#misfortunes.strike(misfortune, life);
    }
    // What lasts for a while is over by itself, at the latest now.
    await world.sleep(world.pick(1, 5_000));
    // A long story rests first, so that what expires has expired when the last messages come.
    if (this.#story.isLong) await world.sleep(world.pick(1, 4) * MS_PER_HOUR);
    // A silence of a long story may outlast that rest, and nothing can settle within it.
    await world.sleep(this.#senders.silentUntilMs - world.clock.monotonicMs());
    this.#misfortunes.end();
    this.#faults = false;
    await this.#calm();
  }

  /** What a sink or a replay may be put back to. */
  #takeCopies(): void {
    const { system, lake, partitions } = this.#durable;
    if (this.#world.chance(0.3)) {
      system.copy();
      lake.bucket?.copy();
    }
    if (this.#world.chance(0.2) && this.#copies.length < COPIES_MAX) this.#copies.push(partitions.map((store) => store.fork('flushed')));
  }

  async #calm(): Promise<void> {
    const world = this.#world;
    const deadlineMs = world.clock.monotonicMs() + SETTLE_LIMIT_MS;
    await this.#settled(deadlineMs);
    const { system, lake } = this.#durable;
    while (system.inFlight + (lake.bucket?.inFlight ?? 0) > 0) await world.sleep(500);
    // A sink that lost its values notices by its marker, and only then has something to do again.
    await world.sleep(2 * this.#settings.markerCheckMs + 1_000);
    await this.#settled(deadlineMs);
    this.#isCalm = true;
  }

  async #settled(deadlineMs: number): Promise<void> {
    const world = this.#world;
    while (!this.#isSettled()) {
      if (world.clock.monotonicMs() > deadlineMs) {
        const { unansweredCount } = this.#senders;
        throw new Error(`liveness: not settled ${SETTLE_LIMIT_MS} ms after the last fault: ${unansweredCount} unanswered, ${this.#durable.lake.rows} of ${this.#counted} rows in the lake, ${String(this.#life)}, ${JSON.stringify(this.#life?.live.conservation())}`);
      }
      await world.sleep(500);
    }
  }

  #isSettled(): boolean {
    const life = this.#life;
    return this.#senders.unansweredCount === 0 && life !== null && life.alive && life.isOpen && life.isCaughtUp && life.sinkIsSettled && life.lake.isSettled && this.#durable.lake.hasAll(this.#counted) && this.#people?.isSettled !== false;
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#found(error);
    }
  }
}
