/**
 * Load scenarios against the built daemon with everything on: sync, CRC, dedupe, windows, Redis and lake.
 *
 * `smoke`: the pipeline's nominal load, open loop (autocannon at a fixed rate), latency from request to durable answer and from
 * sending to Redis. `peak`: closed loop (wrk), beside raw uWebSockets that throws the same POSTs away, in turns in one run, medians.
 * `batches`: closed loop too, 500 lines of NDJSON a request. Everything runs on this machine's cores. Prints a table; writes JSON and one HTML page under bench/results/.
 *
 * node dist/bench/load/run.js [smoke] [peak] [batches] [--seconds N] [--rounds N]
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { TestDaemon } from '../../test/support/daemon.ts';
import { freePort } from '../../test/support/ports.ts';
import { measureDisk, type DiskFacts } from '../harness/disk.ts';
import { cpuSeconds, machineFacts, median, percentile, rssMiB } from '../harness/machine.ts';
import { USER_PLACEHOLDER, templates } from './messages.ts';
import { renderPage } from './page.ts';
import { probe, type ProbeResult } from './probe.ts';
import { runWrk, type WrkResult } from './wrk.ts';

export interface SmokeReport {
  readonly scenario: 'smoke';
  readonly ratePerSecond: number;
  readonly ack: { readonly p50Ms: number; readonly p99Ms: number; readonly p999Ms: number; readonly maxMs: number };
  readonly endToEnd: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly sent: number; readonly lost: number };
  readonly endToEndSeries: ProbeResult['series'];
  readonly acknowledged: number;
  readonly lost: number;
  readonly cpuShare: number;
  readonly rssMiB: number;
}

export interface PeakReport {
  readonly scenario: 'peak';
  readonly rounds: readonly { readonly daemon: WrkResult; readonly discard: WrkResult; readonly cpuMicrosPerEvent: number }[];
  readonly daemonPerSecond: number;
  readonly discardPerSecond: number;
  readonly ratio: number;
  readonly cpuMicrosPerEvent: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly settleSeconds: number;
  readonly rssMiB: number;
}

export interface BatchesReport {
  readonly scenario: 'batches';
  readonly recordsPerRequest: number;
  readonly rounds: readonly WrkResult[];
  readonly eventsPerSecond: number;
  readonly cpuMicrosPerEvent: number;
  readonly acknowledged: number;
  readonly lost: number;
  /** From the last answer until all is counted: longer than a moment where the actors are behind the door. */
  readonly settleSeconds: number;
  readonly rssMiB: number;
}

type ScenarioReport = SmokeReport | PeakReport | BatchesReport;

export interface LoadReport {
  readonly machine: Readonly<Record<string, string>>;
  readonly durability: string;
  /** The disk alone, before the scenarios. */
  readonly disk: DiskFacts;
  readonly at: string;
  readonly scenarios: readonly ScenarioReport[];
}

const NOMINAL_PER_SECOND = 100_000 / 60;
const CONNECTIONS = 256;
const RECORDS_PER_REQUEST = 500;
/** Enough that one is always on its way: a request is 0.8 MB. */
const BATCH_CONNECTIONS = 8;
const WARM_UP_SECONDS = 5;

const argument = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};

async function main(): Promise<void> {
  const names = process.argv.slice(2).filter((word, index, all) => !word.startsWith('--') && !all[index - 1]?.startsWith('--'));
  const wanted = names.length === 0 ? ['smoke', 'peak', 'batches'] : names;
  const disk = await diskAlone();
  const scenarios: ScenarioReport[] = [];
  for (const name of wanted) {
    if (name === 'smoke') scenarios.push(await withDaemon((daemon, redisPort) => smoke(daemon, redisPort, argument('seconds', 60))));
    else if (name === 'peak') scenarios.push(await withDaemon((daemon) => peak(daemon, argument('rounds', 5), argument('seconds', 10))));
    else if (name === 'batches') scenarios.push(await withDaemon((daemon) => batches(daemon, argument('rounds', 5), argument('seconds', 10))));
    else throw new Error(`no such scenario: ${name}; use smoke, peak or batches`);
  }
  const report: LoadReport = { machine: machineFacts(), durability: `one fdatasync per batch, on the disk as it is: alone, a 4 KiB sync took p50 ${disk.p50Ms.toFixed(1)}, p99 ${disk.p99Ms.toFixed(1)}, max ${disk.maxMs.toFixed(0)} ms`, disk, at: new Date().toISOString(), scenarios };
  print(report);
  const directory = join(process.cwd(), 'bench/results');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'load.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(directory, 'load.html'), renderPage(report));
  process.stdout.write(`\nbench/results/load.json and load.html written\n`);
  if (scenarios.some((scenario) => scenario.lost > 0)) process.exitCode = 1;
}

async function diskAlone(): Promise<DiskFacts> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    return await measureDisk(directory, 10);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function withDaemon<Result>(work: (daemon: TestDaemon, redisPort: number) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const redisPort = await freePort();
  const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const daemon = await TestDaemon.start({
    dataDir: directory,
    env: { MILLRACE_DOOR: process.env['MILLRACE_DOOR'] ?? 'uws', MILLRACE_REDIS_URL: `redis://127.0.0.1:${redisPort}`, MILLRACE_JOURNAL_SEGMENT_BYTES: String(64 * 1024 * 1024), MILLRACE_LOG_LEVEL: 'info' },
  });
  try {
    return await work(daemon, redisPort);
  } finally {
    await daemon.stop();
    redis.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function smoke(daemon: TestDaemon, redisPort: number, seconds: number): Promise<SmokeReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  let user = 0;
  const load = (duration: number): ReturnType<typeof autocannon> =>
    autocannon({
      url: `${daemon.ingest}/v1/appsflyer/push`,
      connections: 32,
      duration,
      overallRate: Math.round(NOMINAL_PER_SECOND),
      requests: [
        {
          method: 'POST',
          setupRequest: (request) => ({ ...request, body: (bodies[user % bodies.length] as string).replaceAll(USER_PLACEHOLDER, String(100_000_000_000 + user++)) }),
        },
      ],
    });
  // Compilers of both sides warm up: the first second of a process is not its nominal load.
  const warmUp = await load(WARM_UP_SECONDS);
  let running = true;
  const probing = probe({ ingest: daemon.ingest, redisPort, intervalMs: 100, until: () => !running });
  const startCpu = cpuSeconds(pid);
  const result = await load(seconds);
  const cpuShare = (cpuSeconds(pid) - startCpu) / seconds;
  const peakRss = rssMiB(pid);
  running = false;
  const probed = await probing;
  const acknowledged = warmUp['2xx'] + result['2xx'] + probed.sent;
  const pipeline = await daemon.settled(acknowledged);
  return {
    scenario: 'smoke',
    ratePerSecond: result.requests.average,
    ack: { p50Ms: result.latency.p50, p99Ms: result.latency.p99, p999Ms: result.latency.p99_9, maxMs: result.latency.max },
    endToEnd: { p50Ms: percentile(probed.latenciesMs, 0.5), p99Ms: percentile(probed.latenciesMs, 0.99), maxMs: probed.latenciesMs.at(-1) ?? 0, sent: probed.sent, lost: probed.lost },
    endToEndSeries: probed.series,
    acknowledged,
    lost: Math.max(0, acknowledged - pipeline.conservation.accepted) + probed.lost,
    cpuShare,
    rssMiB: peakRss,
  };
}

async function peak(daemon: TestDaemon, rounds: number, seconds: number): Promise<PeakReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  const discardPort = await freePort();
  const discard = await startDiscard(discardPort);
  const results: PeakReport['rounds'][number][] = [];
  let acknowledged = 0;
  let settleSeconds = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const raw = await runWrk({ url: `http://127.0.0.1:${discardPort}/v1/appsflyer/push`, bodies, connections: CONNECTIONS, seconds, series: round });
      const startCpu = cpuSeconds(pid);
      const own = await runWrk({ url: `${daemon.ingest}/v1/appsflyer/push`, bodies, connections: CONNECTIONS, seconds, series: round });
      const answered = own.requests - own.refused;
      acknowledged += answered;
      const startMs = performance.now();
      await daemon.settled(acknowledged);
      settleSeconds = Math.max(settleSeconds, (performance.now() - startMs) / 1_000);
      results.push({ daemon: own, discard: raw, cpuMicrosPerEvent: ((cpuSeconds(pid) - startCpu) / answered) * 1e6 });
      process.stderr.write(`round ${round + 1}: ${Math.round(own.perSecond)} durable events/s, ${Math.round(raw.perSecond)} discarded/s\n`);
    }
  } finally {
    discard.kill();
  }
  const pipeline = await daemon.settled(acknowledged);
  return {
    scenario: 'peak',
    rounds: results,
    daemonPerSecond: median(results.map((round) => round.daemon.perSecond)),
    discardPerSecond: median(results.map((round) => round.discard.perSecond)),
    ratio: median(results.map((round) => round.daemon.perSecond / round.discard.perSecond)),
    cpuMicrosPerEvent: median(results.map((round) => round.cpuMicrosPerEvent)),
    acknowledged,
    // wrk cuts its last requests short: those may be counted without having been answered, never the other way round.
    lost: Math.max(0, acknowledged - pipeline.conservation.accepted),
    settleSeconds,
    rssMiB: rssMiB(pid),
  };
}

async function batches(daemon: TestDaemon, rounds: number, seconds: number): Promise<BatchesReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  const results: WrkResult[] = [];
  const cpu: number[] = [];
  const rates: number[] = [];
  let acknowledged = 0;
  let settleSeconds = 0;
  for (let round = 0; round < rounds; round++) {
    const startCpu = cpuSeconds(pid);
    const result = await runWrk({ url: `${daemon.ingest}/v1/events`, bodies, connections: BATCH_CONNECTIONS, seconds, series: round, recordsPerRequest: RECORDS_PER_REQUEST });
    const answered = (result.requests - result.refused) * RECORDS_PER_REQUEST;
    acknowledged += answered;
    const startMs = performance.now();
    await daemon.settled(acknowledged);
    settleSeconds = Math.max(settleSeconds, (performance.now() - startMs) / 1_000);
    results.push(result);
    cpu.push(((cpuSeconds(pid) - startCpu) / answered) * 1e6);
    rates.push(answered / result.seconds);
    process.stderr.write(`round ${round + 1}: ${Math.round(answered / result.seconds)} durable events/s in batches\n`);
  }
  const pipeline = await daemon.settled(acknowledged);
  return {
    scenario: 'batches',
    recordsPerRequest: RECORDS_PER_REQUEST,
    rounds: results,
    eventsPerSecond: median(rates),
    cpuMicrosPerEvent: median(cpu),
    acknowledged,
    lost: Math.max(0, acknowledged - pipeline.conservation.accepted),
    settleSeconds,
    rssMiB: rssMiB(pid),
  };
}

async function startDiscard(port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./discard-server.js', import.meta.url)), String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', (text: Buffer) => {
      if (text.toString().startsWith('listening')) resolve();
      else reject(new Error('the discard server cannot listen'));
    });
    child.once('exit', () => {
      reject(new Error('the discard server ended'));
    });
  });
  return child;
}

function print(report: LoadReport): void {
  const lines: string[] = ['', Object.values(report.machine).join(', '), `durability: ${report.durability}`];
  for (const scenario of report.scenarios) {
    if (scenario.scenario === 'smoke') {
      const { ack, endToEnd } = scenario;
      lines.push(
        `smoke  rate ${scenario.ratePerSecond.toFixed(0)}/s  ack p50 ${ack.p50Ms} p99 ${ack.p99Ms} p99.9 ${ack.p999Ms} ms  end to end p50 ${endToEnd.p50Ms.toFixed(0)} p99 ${endToEnd.p99Ms.toFixed(0)} max ${endToEnd.maxMs.toFixed(0)} ms (${endToEnd.sent} probes)  CPU ${(scenario.cpuShare * 100).toFixed(0)} %  RSS ${scenario.rssMiB} MiB  lost ${scenario.lost}`,
      );
    } else if (scenario.scenario === 'batches') {
      lines.push(`batches ${scenario.eventsPerSecond.toFixed(0)} durable events/s (median of ${scenario.rounds.length}) in requests of ${scenario.recordsPerRequest}, CPU ${scenario.cpuMicrosPerEvent.toFixed(1)} us/event, all counted ${scenario.settleSeconds.toFixed(1)} s after the last answer, RSS ${scenario.rssMiB} MiB, lost ${scenario.lost}`);
      for (const result of scenario.rounds) lines.push(`         ${(result.perSecond * scenario.recordsPerRequest).toFixed(0)}/s p50 ${result.p50Ms.toFixed(1)} p99 ${result.p99Ms.toFixed(1)} ms, refused ${result.refused}, errors ${result.errors}`);
    } else {
      lines.push(`peak   ${scenario.daemonPerSecond.toFixed(0)} durable POSTs/s (median of ${scenario.rounds.length}), raw uWebSockets discarding ${scenario.discardPerSecond.toFixed(0)}/s, ratio ${scenario.ratio.toFixed(2)}, CPU ${scenario.cpuMicrosPerEvent.toFixed(1)} us/event, settled ${scenario.settleSeconds.toFixed(1)} s after the last answer, RSS ${scenario.rssMiB} MiB, lost ${scenario.lost}`);
      for (const { daemon, discard } of scenario.rounds) lines.push(`         ${daemon.perSecond.toFixed(0)}/s p50 ${daemon.p50Ms.toFixed(1)} p99 ${daemon.p99Ms.toFixed(1)} p99.9 ${daemon.p999Ms.toFixed(1)} ms, refused ${daemon.refused}, errors ${daemon.errors}; discard ${discard.perSecond.toFixed(0)}/s`);
    }
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

await main();
