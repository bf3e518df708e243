/**
 * One run: a world, load, faults at random moments, and then everything must be exact.
 *
 * Exact means: every message acknowledged; ready without a hand; the books balance; every measure of every hour, campaign and country
 * equals the independent model, in queries and in `hourly/`; `events/` has each counted event once; Redis shows what queries show; the
 * state hash is that of an undisturbed replay of the journal. And each kind of fault was felt.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { hasRedis } from '../peers/redis.ts';
import { TestDaemon } from '../support/daemon.ts';
import { Dice } from '../support/dice.ts';
import { checkConservation, checkLake, checkRows, compareWithReplay, settleTotals, soon } from '../support/exact-check.ts';
import { Feed } from '../support/feed.ts';
import { pause } from '../support/load.ts';
import { compareWithQueries } from '../support/redis-check.ts';
import type { Fault } from './faults/fault.ts';
import { World } from './world.ts';

export interface CrashRunOptions {
  /** Dealt in turn, in a random order; none for an undisturbed run. */
  readonly faults: readonly Fault[];
  /** How many of them are inflicted in all; by default what each kind says. */
  readonly times?: number;
  /** At least so many messages are sent. */
  readonly events: number;
  readonly seed: number;
  /** An empty one, for all files of the run. */
  readonly directory: string;
  readonly eventsPerSecond?: number;
  readonly batch?: number;
  readonly replayThreads?: number;
  readonly lives?: readonly Readonly<Record<string, string>>[];
  readonly say?: (text: string) => void;
}

export interface CrashReport {
  readonly events: number;
  readonly counted: number;
  readonly lateRecords: number;
  readonly hourlyRows: number;
  readonly lakeRows: number;
  /** Windows compared in Redis; null without one. */
  readonly redisValues: number | null;
  /** Null where the journal does not reach back to the first record. */
  readonly stateHash: string | null;
  /** How often each kind was felt, by name. */
  readonly felt: Readonly<Record<string, number>>;
  readonly inflicted: number;
  readonly resent: number;
  readonly seconds: number;
}

const EVENTS_PER_SECOND = 3_000;
/** Between the end of a fault and the next. */
const GAP_MS_MAX = 600;

/** Raises with the first difference it finds; the directory is left to the caller. */
export async function crashRun(options: CrashRunOptions): Promise<CrashReport> {
  const say = options.say ?? (() => undefined);
  const dice = new Dice(options.seed);
  const redis = hasRedis && !options.faults.some((fault) => fault.withoutRedis === true);
  let world: World | null = null;
  let exact = false;
  try {
    await World.open({ faults: options.faults, directory: options.directory, dice, redis, say, ...(options.lives === undefined ? {} : { lives: options.lives }) }, (opened) => {
      world = opened;
    });
    const report = await runIn(world as unknown as World, options);
    exact = true;
    return report;
  } finally {
    await close(world, exact, options.directory);
  }
}

async function runIn(world: World, options: CrashRunOptions): Promise<CrashReport> {
  const startMs = performance.now();
  const feed = new Feed({
    url: `http://127.0.0.1:${world.ingestPort}`,
    seed: options.seed,
    eventsPerSecond: options.eventsPerSecond ?? EVENTS_PER_SECOND,
    batch: options.batch ?? 50,
    keep: options.faults.some((fault) => fault.sendsAllAgain === true),
  });
  world.feed = feed;
  const deal = dealOf(world.dice, options.faults, options.times);
  const felt: Record<string, number> = Object.fromEntries(options.faults.map((fault) => [fault.name, 0]));
  for (const [index, fault] of deal.entries()) {
    await feed.until((index * options.events) / deal.length);
    await pause(world.dice.next() * GAP_MS_MAX);
    const effects = await fault.inflict(world);
    await world.ready();
    felt[fault.name] = (felt[fault.name] ?? 0) + effects;
    world.say(`${fault.name}, ${index + 1} of ${deal.length}: felt ${effects} times, at message ${feed.made}`);
  }
  await feed.until(options.events);
  await feed.finish();
  if (options.faults.some((fault) => fault.sendsAllAgain === true)) await feed.sendAllAgain();
  for (const [name, count] of Object.entries(felt)) if (count === 0) throw new Error(`${name} was not felt: the run proves nothing`);
  const figures = await checkAll(world, options);
  return { ...figures, events: feed.made, felt, inflicted: deal.length, resent: feed.resent, seconds: (performance.now() - startMs) / 1_000 };
}

function dealOf(dice: Dice, faults: readonly Fault[], times: number | undefined): Fault[] {
  const deal = times === undefined ? faults.flatMap((fault) => Array.from({ length: fault.times }, () => fault)) : Array.from({ length: times }, (_, index) => faults[index % faults.length] as Fault);
  for (let last = deal.length - 1; last > 0; last--) {
    const other = dice.between(0, last);
    [deal[last], deal[other]] = [deal[other] as Fault, deal[last] as Fault];
  }
  return deal;
}

async function checkAll(world: World, options: CrashRunOptions): Promise<Pick<CrashReport, 'counted' | 'lateRecords' | 'hourlyRows' | 'lakeRows' | 'redisValues' | 'stateHash'>> {
  const { daemon, redis } = world;
  const expected = world.load.summary;
  await world.ready();
  checkConservation(await settleTotals(daemon, expected), expected);
  const hourlyRows = await soon(() => checkRows(daemon, expected));
  const { conservation } = await daemon.pipeline();
  const redisValues = redis === null ? null : await soon(() => compareWithQueries(daemon, redis), 30_000);
  const lakeRows = await checkLake({ daemon, lake: world.lake, expected, lateRecords: conservation.late });
  const code = await daemon.stop();
  if (code !== 0) throw new Error(`the daemon ended with ${code}`);
  const isReplayable = !options.faults.some((fault) => fault.withoutReplay === true);
  const directories = { dataDir: world.dataDir, replayDir: join(options.directory, 'replayed') };
  const stateHash = isReplayable ? await compareWithReplay(directories, options.replayThreads ?? world.dice.between(1, 3)) : null;
  return { counted: expected.counted, lateRecords: conservation.late, hourlyRows, lakeRows, redisValues, stateHash };
}

/** What lies on a disk of its own is kept elsewhere when the run has failed. */
async function close(world: World | null, exact: boolean, directory: string): Promise<void> {
  if (world === null) return TestDaemon.endAll();
  await world.close();
  if (world.disk === null) return;
  if (!exact) spawnSync('cp', ['-a', world.dataDir, join(directory, 'data')]);
  world.disk.remove();
}
