/**
 * One soak: the built daemon under a steady load on a clock that runs fast, looked at every few seconds, every total compared with what
 * was acknowledged.
 *
 * Each hour is compared once nothing more can come for it, and again nothing of it is kept here: memory of this process is bounded too. At the
 * end all that is left is compared, and conservation. Redis knows the true time alone, so its keys are expired from here, by the
 * time of expiry that each of them has.
 */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { cpuSeconds, machineCpuSeconds, percentile } from '../../bench/harness/machine.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { startRedis, type RedisServer } from '../peers/redis.ts';
import { TestDaemon, type PipelineAnswer } from '../support/daemon.ts';
import { createFastClock, type FastClock } from './fast-clock.ts';
import { Ledger, difference } from './ledger.ts';
import { Load } from './load.ts';
import { daemonValues, processValues, storeFiles, type Values } from './measures.ts';
import { daemonSettings, makePlan, RETENTION_DAYS, type SoakOptions, type SoakPlan } from './plan.ts';
import { valuesOf } from './redis.ts';
import { LATE_MS_MAX, RequestMaker } from './requests.ts';
import { makeTemplates } from './templates.ts';

const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 24 * MS_PER_HOUR;
const SETTLE_MS_MAX = 120_000;
/** An hour that differs may still be on its way: it is looked at again so many times, in as many samples. */
const LOOKS_MAX = 6;
const MEASURE_NAMES = resultSchema(appsflyerPipeline).measures.map(({ name }) => name);

export interface Sample {
  readonly atMs: number;
  readonly values: Values;
  readonly stores: Readonly<Record<string, number>>;
}

export interface SoakResult {
  readonly options: SoakOptions;
  readonly plan: SoakPlan;
  readonly door: string;
  readonly samples: readonly Sample[];
  /** What was sent and acknowledged. */
  readonly sent: { readonly fresh: number; readonly repeats: number; readonly damaged: number; readonly requestsSkipped: number; readonly refused: number; readonly broken: number; readonly resent: number };
  readonly conservation: PipelineAnswer['conservation'];
  readonly hoursCompared: number;
  /** What is not exact, or went wrong; empty is well. */
  readonly faults: readonly string[];
}

export interface SoakRun {
  readonly options: SoakOptions;
  readonly say: (text: string) => void;
  readonly dataDir: string;
}

export async function soak({ options, say, dataDir }: SoakRun): Promise<SoakResult> {
  const clock = createFastClock({ startMs: (Math.floor(Date.now() / MS_PER_DAY) + 1) * MS_PER_DAY, speedup: options.speedup });
  const redis = await startRedis();
  try {
    const daemon = await TestDaemon.start({ dataDir, env: { ...daemonSettings(options), MILLRACE_REDIS_URL: redis.url, ...clock.environment } });
    return await new Soak({ options, say, dataDir, clock, redis, daemon }).run();
  } finally {
    await TestDaemon.endAll();
    await redis.stop();
  }
}

interface SoakParts extends SoakRun {
  readonly clock: FastClock;
  readonly redis: RedisServer;
  readonly daemon: TestDaemon;
}

class Soak {
  readonly #parts: SoakParts;
  readonly #plan: SoakPlan;
  readonly #ledger: Ledger;
  readonly #load: Load;
  readonly #samples: Sample[] = [];
  readonly #faults: string[] = [];
  readonly #looks = new Map<number, number>();
  readonly #startMs = performance.now();
  #hoursCompared = 0;
  #last = { atMs: 0, received: 0, refused: 0, daemonCpu: 0, senderCpu: 0, machineCpu: 0 };

  constructor(parts: SoakParts) {
    this.#parts = parts;
    const { options, clock, daemon } = parts;
    this.#plan = makePlan(options);
    const templates = makeTemplates(options);
    this.#ledger = new Ledger(templates);
    const requestsPerSecond = options.ratePerSecond / options.recordsPerRequest;
    const horizonMs = options.horizonHours * MS_PER_HOUR;
    const maker = new RequestMaker({ templates, recordsPerRequest: options.recordsPerRequest, horizonMs, requestsRemembered: Math.ceil((requestsPerSecond * horizonMs) / 1_000 / options.speedup) + 1_000 });
    this.#load = new Load({ port: daemon.ingestPort, requestsPerSecond, recordsPerRequest: options.recordsPerRequest, maker, ledger: this.#ledger, nowMs: () => clock.nowMs() });
  }

  async run(): Promise<SoakResult> {
    const { options, daemon, say } = this.#parts;
    this.#last = { ...this.#last, daemonCpu: cpuSeconds(daemon.child.pid as number), senderCpu: cpuSeconds(process.pid), machineCpu: machineCpuSeconds() };
    let loading = true;
    const load = this.#load.run().finally(() => {
      loading = false;
    });
    // Awaited below; until then it must not count as unhandled.
    load.catch(() => undefined);
    for (let number = 1; this.#elapsedMs() < this.#plan.totalMs && loading; number++) {
      const nextMs = Math.min(number * options.sampleSeconds * 1_000, this.#plan.totalMs);
      // Short steps, so that a load that fails ends the run at once.
      while (loading && this.#elapsedMs() < nextMs) await sleep(Math.min(250, Math.max(1, nextMs - this.#elapsedMs())));
      if (loading) await this.#sample();
    }
    this.#load.stop();
    await load;
    say('all acknowledged; comparing the totals');
    const conservation = await this.#settle();
    await this.#compareRest();
    const code = await daemon.stop();
    if (code !== 0) this.#faults.push(`the daemon ended with ${code}`);
    const { fresh, repeats, damaged } = this.#ledger;
    const { skipped, refused, broken, resent } = this.#load;
    return { options, plan: this.#plan, door: daemon.door, samples: this.#samples, sent: { fresh, repeats, damaged, requestsSkipped: skipped, refused, broken, resent }, conservation, hoursCompared: this.#hoursCompared, faults: this.#faults };
  }

  #elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  async #sample(): Promise<void> {
    const { daemon, dataDir, redis, say, clock } = this.#parts;
    const pid = daemon.child.pid as number;
    const atMs = this.#elapsedMs();
    const own = await daemonValues(daemon);
    const files = storeFiles(dataDir);
    const redisValues = await valuesOf(redis, clock.nowMs());
    const latencies = this.#load.takeLatencies();
    const now = { atMs, received: this.#ledger.received, refused: this.#load.refused, daemonCpu: cpuSeconds(pid), senderCpu: cpuSeconds(process.pid), machineCpu: machineCpuSeconds() };
    const seconds = (now.atMs - this.#last.atMs) / 1_000;
    const values: Record<string, number> = {
      ...processValues(pid),
      ...files.values,
      ...own.values,
      ...redisValues,
      acknowledged: (now.received - this.#last.received) / seconds,
      refused: now.refused - this.#last.refused,
      'ack p99': percentile(latencies, 0.99),
      'CPU of the daemon': ((now.daemonCpu - this.#last.daemonCpu) / seconds) * 100,
      'CPU of the sender': ((now.senderCpu - this.#last.senderCpu) / seconds) * 100,
    };
    const all = ((now.machineCpu - this.#last.machineCpu) / seconds) * 100;
    values['CPU of all else'] = Math.max(0, all - (values['CPU of the daemon'] as number) - (values['CPU of the sender'] as number));
    this.#last = now;
    this.#samples.push({ atMs, values, stores: files.stores });
    const { received, accepted, duplicate, late, rejected } = own.pipeline.conservation;
    if (received !== accepted + duplicate + late + rejected) this.#faults.push(`conservation is broken: ${JSON.stringify(own.pipeline.conservation)}`);
    const mib = (name: string): string => `${Math.round((values[name] as number) / 1024 ** 2)} MiB`;
    say(`${(atMs / 1_000).toFixed(0)} s, ${new Date(clock.nowMs()).toISOString().slice(0, 16)}: ${(values['acknowledged'] as number).toFixed(0)}/s, p99 ${(values['ack p99'] as number).toFixed(0)} ms, memory ${mib('memory (anonymous + shared)')}, journal ${mib('journal/')}, state ${mib('state/')}, live ${mib('live/')}, ${values['dedupe entries']} identities, ${values['open files']} files, CPU ${(values['CPU of the daemon'] as number).toFixed(0)} + ${(values['CPU of the sender'] as number).toFixed(0)} %`);
    await this.#compareEnded();
    this.#removeOldLake();
  }

  /** Hours for which nothing can come any more. */
  async #compareEnded(): Promise<void> {
    for (const hourMs of this.#ledger.hoursEndedBy(this.#load.acknowledgedUpToMs - LATE_MS_MAX - MS_PER_HOUR)) {
      const found = await this.#differenceOf(hourMs);
      const looks = (this.#looks.get(hourMs) ?? 0) + 1;
      this.#looks.set(hourMs, looks);
      if (found !== null && looks < LOOKS_MAX) continue;
      this.#finish(hourMs, found);
    }
  }

  #finish(hourMs: number, found: string | null): void {
    if (found !== null) this.#faults.push(`${new Date(hourMs).toISOString()}: ${found}`);
    this.#hoursCompared++;
    this.#looks.delete(hourMs);
    this.#ledger.forget(hourMs);
  }

  async #differenceOf(hourMs: number): Promise<string | null> {
    const iso = (timeMs: number): string => new Date(timeMs).toISOString();
    const { rows } = await this.#parts.daemon.hourly(`from=${iso(hourMs)}&to=${iso(hourMs + MS_PER_HOUR)}&late=include&group_by=campaign_id,country&limit=10000`);
    return difference(rows, this.#ledger.expected(hourMs), MEASURE_NAMES);
  }

  async #settle(): Promise<PipelineAnswer['conservation']> {
    const { daemon } = this.#parts;
    const { conservation } = await daemon.settled(this.#ledger.received, SETTLE_MS_MAX);
    const { fresh, repeats, damaged } = this.#ledger;
    const { accepted, duplicate, late, rejected } = conservation;
    if (accepted + late !== fresh) this.#faults.push(`${accepted} accepted and ${late} late, but ${fresh} different records were acknowledged`);
    // What was sent more than once may have been received as often.
    const isOnce = this.#load.resent === 0;
    const wrong = (seen: number, sent: number): boolean => (isOnce ? seen !== sent : seen < sent);
    if (wrong(duplicate, repeats)) this.#faults.push(`${duplicate} duplicates, ${repeats} repeats were acknowledged`);
    if (wrong(rejected, damaged)) this.#faults.push(`${rejected} rejected, ${damaged} damaged records were acknowledged`);
    return conservation;
  }

  async #compareRest(): Promise<void> {
    const deadlineMs = performance.now() + 10_000;
    for (const hourMs of this.#ledger.hoursEndedBy(Infinity)) {
      let found = await this.#differenceOf(hourMs);
      while (found !== null && performance.now() < deadlineMs) {
        await sleep(100);
        found = await this.#differenceOf(hourMs);
      }
      this.#finish(hourMs, found);
    }
  }

  /** As an operator would: dates of the lake beyond the retention of results, and the day in between. */
  #removeOldLake(): void {
    const keptFrom = new Date(this.#parts.clock.nowMs() - (RETENTION_DAYS + 2) * MS_PER_DAY).toISOString().slice(0, 10);
    for (const kind of ['events', 'hourly']) {
      const folder = join(this.#parts.dataDir, 'lake', kind);
      if (!existsSync(folder)) continue;
      for (const name of readdirSync(folder)) if (name.startsWith('event_date=') && name < `event_date=${keptFrom}`) rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}
