/**
 * One simulated story, told by its seed: lives of the daemon, senders that resend until they are answered, faults of every kind; then the faults
 * stop, everything settles, and every checker looks.
 */

import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { RecordFlag, RecordSource } from '../../engine/core/record.ts';
import type { Rules } from '../../engine/core/rules.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../engine/core/types.ts';
import { MemorySystem } from '../conformance/memory-sink.ts';
import { Model } from '../model/model.ts';
import { FaultyDisk, diskError } from '../unit/log/faulty-disk.ts';
import { checkConservation, checkReplay, checkSink, checkTotals, Visible } from './checks.ts';
import { SimulatedLake } from './lake.ts';
import { Life, PARTITIONS, newStores, type Durable } from './life.ts';
import { PLANTS, type Plant } from './plants.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly plant?: string;
}

export interface SimulationReport {
  readonly messages: number;
  readonly counted: number;
  readonly lives: number;
  readonly threadDeaths: number;
  readonly powerCuts: number;
  readonly failedCommits: number;
}

const RULES: Rules = {
  pipelineVersion: 1,
  allowedLatenessMs: 5 * MS_PER_MINUTE,
  futureSkewMs: 5 * MS_PER_MINUTE,
  idleAfterMs: MS_PER_MINUTE,
  dedupe: 'push-ms',
  dedupeHorizonMs: MS_PER_DAY,
  cellRetentionMs: 40 * MS_PER_DAY,
  dimensionLimits: {},
  cellsPerDayMax: 10_000,
  slotMs: MS_PER_MINUTE,
  slotBytesMax: 64 * 1024,
  domain: null,
};

const TICK_AFTER_MS = 1_000;
/** Simulated time in which a healthy daemon has everything settled: idle partitions, the lake's slot, backoff of the sink. */
const SETTLE_LIMIT_MS = 10 * MS_PER_MINUTE;

/** Raises with what a checker found; the message begins with the checker's name. */
export async function simulate({ seed, plant: plantName }: SimulationOptions): Promise<SimulationReport> {
  const plant = plantName === undefined ? null : PLANTS[plantName];
  if (plant === undefined) throw new Error(`no such plant: ${plantName}; use one of ${Object.keys(PLANTS).join(', ')}`);
  return new Simulation(seed, plant).run();
}

class Simulation {
  readonly #world: World;
  readonly #plant: Plant | null;
  readonly #model = new Model();
  readonly #visible = new Visible();
  readonly #durable: Durable;
  readonly #rules: Rules;
  /** Bodies that have no answer yet. */
  readonly #unanswered: Buffer[] = [];
  #messages = 0;
  /** By the model. */
  #counted = 0;
  #life: Life | null = null;
  #lives = 0;
  #threadDeaths = 0;
  #powerCuts = 0;
  #failedCommits = 0;
  #faults = true;
  /** Long enough without faults. */
  #isCalm = false;
  #bug: Error | null = null;
  #toMake: number;
  #lastCommitMs = 0;
  readonly #seed: number;

  /** The first counts. */
  readonly #found = (error: unknown): void => {
    this.#bug ??= error instanceof Error ? error : new Error(String(error));
  };

  constructor(seed: number, plant: Plant | null) {
    this.#seed = seed;
    this.#world = new World(seed);
    this.#plant = plant;
    this.#rules = plant?.forgetsRepeats === true ? { ...RULES, dedupe: 'none' } : RULES;
    this.#durable = { disk: new FaultyDisk(), ...newStores(), lake: new SimulatedLake(PARTITIONS), system: new MemorySystem() };
    this.#toMake = this.#world.pick(20, 150);
  }

  async run(): Promise<SimulationReport> {
    const world = this.#world;
    void this.#daemon();
    this.#sender().catch(this.#found);
    this.#misfortune().catch(this.#found);
    await world.run(() => this.#bug !== null || (this.#isCalm && this.#isSettled()), MS_PER_DAY);
    if (this.#bug !== null) throw this.#bug;
    const life = this.#life as Life;
    checkConservation(life.live, this.#model);
    checkTotals(life.live, this.#model);
    checkSink(life.live, this.#durable.system);
    const counted = this.#counted;
    if (this.#durable.lake.rowCount !== counted) throw new Error(`lake: ${this.#durable.lake.rowCount} rows, the model has ${counted}`);
    checkReplay(this.#durable.disk, life.words.durableOffset, life.stateHashes());
    return { messages: this.#messages, counted, lives: this.#lives, threadDeaths: this.#threadDeaths, powerCuts: this.#powerCuts, failedCommits: this.#failedCommits };
  }

  /** Starts the daemon again and again, as its parent does. */
  async #daemon(): Promise<void> {
    const world = this.#world;
    for (;;) {
      this.#lives++;
      const life = new Life({
        world,
        durable: this.#durable,
        rules: this.#rules,
        threads: world.pick(1, 3),
        checkpointIntervalMs: world.pick(1, 20) * 100,
        plant: this.#plant,
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
        onBug: this.#found,
      });
      this.#life = life;
      try {
        await life.start();
      } catch (error) {
        // A disk that fails while the journal is opened ends the life; anything else is a bug.
        if (!this.#faults && life.alive) this.#found(error);
        if (life.alive) life.die(this.#durable.disk.dead);
      }
      while (life.alive) await world.sleep(10);
      await world.sleep(world.pick(1, 3_000));
    }
  }

  /** Makes messages, sends what has no answer, journals the time when nothing else is. */
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
      await this.#commit();
      await world.sleep(world.chance(0.1) ? world.pick(100, 5_000) : world.pick(1, 60));
    }
  }

  async #commit(): Promise<void> {
    const world = this.#world;
    const life = this.#life;
    if (life === null || !life.alive || (life.writer as unknown) === undefined) return;
    const isTick = this.#unanswered.length === 0;
    if (isTick && world.clock.monotonicMs() - this.#lastCommitMs < TICK_AFTER_MS) return;
    const sent: Buffer[] = [];
    while (this.#unanswered.length > 0 && sent.length < 12) {
      const body = this.#unanswered.splice(world.pick(0, this.#unanswered.length - 1), 1)[0] as Buffer;
      life.partitioner.locate(body, 0, body.byteLength);
      const { partition, flags } = life.partitioner;
      life.writer.append(partition, RecordSource.push, flags === RecordFlag.none ? 0 : flags, body, 0, body.byteLength);
      sent.push(body);
    }
    this.#lastCommitMs = world.clock.monotonicMs();
    try {
      await life.writer.commit();
      if (!life.alive) throw new Error('nobody is there to answer');
    } catch {
      this.#failedCommits++;
      if (this.#plant?.acknowledgesFailures !== true) {
        this.#unanswered.push(...sent);
        return;
      }
    }
    for (const body of sent) if (this.#model.deliver({ body: body.toString(), method: 'POST', receivedAtMs: world.clock.nowMs() }).verdict === 'counted') this.#counted++;
  }

  /** Everything that can go wrong, one after another, until enough has. */
  async #misfortune(): Promise<void> {
    const world = this.#world;
    const { disk, system } = this.#durable;
    for (let misfortunes = world.pick(2, 14); misfortunes > 0; misfortunes--) {
      await world.sleep(world.chance(0.3) ? world.pick(1, 50) : world.pick(50, 4_000));
      const life = this.#life as Life;
      if (!life.alive) continue;
      const dice = world.random();
      if (dice < 0.2) life.die(false);
      else if (dice < 0.4) {
        this.#powerCuts++;
        life.die(true);
      } else if (dice < 0.55) {
        if ((life.writer as unknown) === undefined) continue;
        this.#threadDeaths++;
        life.killThread(world.pick(0, 2));
      } else if (dice < 0.65) {
        const operation = world.chance(0.5) ? 'sync' : 'write';
        const code = world.chance(0.5) ? 'EIO' : 'ENOSPC';
        let left = world.pick(1, 4);
        disk.fault = (what) => (what === operation && left-- > 0 ? diskError(code) : null);
      } else if (dice < 0.7) disk.shortWrite = (length) => 1 + Math.floor(world.random() * length);
      else if (dice < 0.8) life.failNextCommit();
      else if (dice < 0.85) system.away = !system.away;
      else if (dice < 0.88) system.forget();
      else if (dice < 0.94) world.jump(world.pick(-3, 3) * MS_PER_HOUR);
      else this.#toMake += world.pick(0, 30);
    }
    disk.fault = null;
    disk.shortWrite = null;
    system.away = false;
    world.setClockRight();
    this.#faults = false;
    const deadlineMs = world.clock.monotonicMs() + SETTLE_LIMIT_MS;
    // A sink that lost its values notices by its marker, within a minute; the lake's last slot ends with a minute of log time.
    await world.sleep(3 * MS_PER_MINUTE);
    this.#isCalm = true;
    while (!this.#isSettled()) {
      if (world.clock.monotonicMs() > deadlineMs) throw new Error(`liveness: not settled ${SETTLE_LIMIT_MS} ms after the last fault: ${this.#unanswered.length} unanswered, ready ${this.#life?.ready}, caught up ${this.#life?.isCaughtUp}, lake ${this.#durable.lake.rowCount} of ${this.#counted}, ${JSON.stringify(this.#life?.live.conservation())}`);
      await world.sleep(500);
    }
  }

  #isSettled(): boolean {
    const life = this.#life;
    return this.#toMake <= 0 && this.#unanswered.length === 0 && life !== null && life.alive && life.isCaughtUp && life.sinkIsSettled && this.#durable.lake.rowCount >= this.#counted;
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#found(error);
    }
  }
}
