/** `millrace start`: the supervising parent, or with --no-supervise the daemon itself. */

import { fileURLToPath } from 'node:url';
import { EngineError, messageOf } from '../core/errors.ts';
import { Daemon } from '../main.ts';
import { endProcess } from '../runtime/end-process.ts';
import { exitCodeOf, exitCodes } from '../runtime/exit-codes.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { stallsBefore, superviseDaemon } from '../runtime/parent.ts';
import type { Settings } from '../settings.ts';
import { ingestScheme, loadSettings, urlOf } from './settings.ts';

/** SIGTERM drains within 10 s; what has not ended by then is left to the journal. */
const DRAIN_LIMIT_MS = 9_500;
/** What is left of the 10 s then. */
const LAST_THREADS_MS = 200;

export async function start(options: { readonly config?: string | undefined; readonly supervise: boolean }): Promise<number> {
  const settings = loadSettings(options);
  const log = createLogger(settings.log.level);
  if (options.supervise) {
    const args = ['start', '--no-supervise', ...(options.config === undefined ? [] : ['--config', options.config])];
    return superviseDaemon(fileURLToPath(new URL('../cli.js', import.meta.url)), args, log);
  }
  return runDaemon(settings, log);
}

async function runDaemon(settings: Settings, log: Logger): Promise<number> {
  const stopRequested = deferred<string>();
  let daemon: Daemon | null = null;
  let stopping = false;
  const requestStop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'draining');
    setTimeout(() => {
      log.error({ limitMs: DRAIN_LIMIT_MS }, 'the drain took too long; what is missing is replayed from the journal at the next start');
      void endProcess(exitCodes.ok, LAST_THREADS_MS);
    }, DRAIN_LIMIT_MS).unref();
    stopRequested.resolve(reason);
  };
  process.on('SIGTERM', requestStop);
  process.on('SIGINT', requestStop);
  // A terminal that is closed says the same: there it means the end.
  if (process.stdout.isTTY !== true) {
    process.on('SIGHUP', () => {
      log.info({}, 'tokens and certificates are read again');
      daemon?.readAgain();
    });
  }
  // No daemon outlives its supervising parent unseen.
  process.on('disconnect', () => {
    requestStop('the supervising parent is gone');
  });
  let failing = false;
  const fatal = (error: EngineError): void => {
    if (failing) return;
    failing = true;
    log.error({ code: error.code, where: error.where, fix: error.fix }, error.message);
    const exit = (): Promise<never> => endProcess(exitCodeOf(error));
    if (daemon === null) void exit();
    else void daemon.abandon().then(exit, exit);
  };
  daemon = await Daemon.start(settings, log, fatal, stallsBefore()).catch((error: unknown): Promise<never> => {
    if (!(error instanceof EngineError)) throw error;
    log.error({ code: error.code, where: error.where, fix: error.fix }, error.message);
    return endProcess(exitCodeOf(error));
  });
  if (!stopping) greet(settings, daemon, log);
  await stopRequested.promise;
  try {
    log.info({ clean: await daemon.stop() }, 'stopped');
  } catch (error) {
    log.error({ error: messageOf(error) }, 'the drain failed');
    return endProcess(exitCodes.failure);
  }
  return endProcess(exitCodes.ok);
}

/** Where to look, and how to send a first event: on stderr, so that stdout stays JSON lines. */
function greet(settings: Settings, daemon: Daemon, log: Logger): void {
  const ingestPort = daemon.state.door?.port ?? 0;
  log.info({ ingestPort, adminPort: daemon.adminPort, door: daemon.state.door?.kind }, 'millrace is up');
  const ingest = urlOf(settings.ingest.host, ingestPort, ingestScheme(settings.ingest));
  const admin = urlOf(settings.admin.host, daemon.adminPort);
  process.stderr.write(`
Millrace is up.
  live page   ${admin}/
  metrics     ${admin}/v1/metrics/hourly
  API         ${admin}/openapi.json

Send a first event:
  curl ${ingest}/v1/appsflyer/push -d '{"app_id":"com.example.shop","appsflyer_id":"1718000000123-4500123456789012345","event_name":"install","conversion_type":"install","campaign_type":"ua","media_source":"googleadwords_int","campaign":"spring_fr","af_c_id":"21421952087","country_code":"FR","event_time":"'"$(date -u '+%Y-%m-%d %H:%M:%S.000')"'"}'
and look:
  curl '${admin}/v1/metrics/hourly?group_by=campaign_id,country'

`);
}

function deferred<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
