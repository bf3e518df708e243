/** The admin routes: what the running daemon tells, as declared facts. Each handler reads; only savepoints, retries and drops of dead letters and fault injection act. */

import { dictionary } from '../actors/appsflyer/definitions.ts';
import { dashboardFile } from '../sinks/live/dashboard/index.ts';
import { costsQuerySchema, metricsQuerySchema, queryCosts, queryMetrics, type MetricsKind } from '../sinks/live/index.ts';
import { systemClock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import { VERDICT_NAMES } from './core/record.ts';
import { z, flag, wholeNumber } from './core/schema.ts';
import { MS_PER_HOUR } from './core/types.ts';
import { backfillRoute } from './admin-backfill.ts';
import { coverage, COVERAGE_RECORDS_MAX } from './admin-coverage.ts';
import { LastRejects } from './admin-dead-letters.ts';
import { eraseRoutes } from './admin-erase.ts';
import { letterRoutes } from './admin-letter-routes.ts';
import { parseQuery } from './admin-query.ts';
import { savepointReply } from './admin-savepoint.ts';
import { liveStream } from './admin-stream.ts';
import { LOOKED_AT_MAX, tailRecords, tailSourceOf } from './admin-tail.ts';
import { metricFamilies } from './daemon-metrics.ts';
import { dedupeSettings } from './dedupe-settings.ts';
import type { Daemon } from './main.ts';
import { json, type AdminReply, type AdminRoute } from './runtime/admin-server.ts';
import { MetricsPage } from './runtime/metrics.ts';
import { bytesOf } from './runtime/savepoint.ts';
import type { Fault } from './threads/fault.ts';

const JSON_TYPE = 'application/json';

export function adminRoutes(view: Daemon): AdminRoute[] {
  return [...healthRoutes(view), ...resultRoutes(view), ...recordRoutes(view), ...pageRoutes(), ...actionRoutes(view)];
}

/** Queries and sinks wait for recovery: an answer before it could show a revision that falls back. */
function requireReady(view: Daemon): void {
  if (!view.state.ready) throw new EngineError('NOT_READY', 'recovery has not finished: try again shortly');
}

function healthRoutes(view: Daemon): AdminRoute[] {
  const page = new MetricsPage();
  return [
    {
      method: 'GET',
      path: '/healthz',
      open: true,
      summary: 'The process is alive',
      answers: { 200: 'alive' },
      contentType: JSON_TYPE,
      handle: () => json({ status: 'ok' }),
    },
    {
      method: 'GET',
      path: '/readyz',
      open: true,
      summary: 'Recovery is complete, the door listens, the disk has room',
      answers: { 200: 'ready', 503: 'not ready, with the reasons' },
      contentType: JSON_TYPE,
      handle: () => readiness(view),
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Prometheus metrics',
      answers: { 200: 'text exposition format' },
      contentType: 'text/plain',
      handle: async () => ({ contentType: page.contentType, body: await page.render(metricFamilies(view)) }),
    },
    {
      method: 'GET',
      path: '/v1/pipeline',
      summary: 'Conservation, partitions, sinks and journal',
      answers: { 200: 'the state of the pipeline' },
      contentType: JSON_TYPE,
      handle: () => json(pipelineAnswer(view)),
    },
  ];
}

function readiness(view: Daemon): AdminReply {
  const { state } = view;
  const reasons = [
    ...(state.ready ? [] : ['recovery has not finished']),
    ...(state.door === null ? ['the door does not listen'] : []),
    ...(state.draining ? ['draining'] : []),
    ...(state.diskReserveExhausted ? [`less than disk.reserve_bytes is free (${state.diskFreeBytes} bytes)`] : []),
  ];
  return reasons.length === 0 ? json({ status: 'ready' }) : json({ status: 'not ready', reasons }, 503);
}

const isoOrNull = (timeMs: number | undefined): string | null => (timeMs === undefined || timeMs < 0 ? null : new Date(timeMs).toISOString());

export function pipelineAnswer(view: Daemon): object {
  const { engine, state } = view;
  const { live } = engine;
  const journal = state.ingress?.journal;
  const durable = journal?.durableOffset ?? 0;
  const lastRecords = state.ingress?.lastRecordOffsets ?? [];
  const partitions = live.partitionStates();
  return {
    conservation: live.conservation(),
    partitions: partitions.map((partition) => {
      // Journal by journal: ticks that a partition has folded of one do not make up for records of another.
      const offsets = partition.offsets ?? [partition.offset];
      const lagBytes = lastRecords.reduce((sum, lastRecord, number) => sum + Math.max(0, lastRecord - (offsets[number] ?? 0)), 0);
      return { id: partition.partition, watermark: isoOrNull(partition.watermarkMs), offset: partition.offset, lag_bytes: lagBytes, lag_records: lagRecords(view, lagBytes) };
    }),
    sinks: view.sinkHealth().map((sink) => ({
      name: sink.name,
      healthy: sink.healthy,
      settled_revision: sink.settledMark,
      lag_ms: Math.round(sink.lagMs),
      last_error: sink.lastError,
    })),
    journal: { durable_offset: durable, bytes: journal?.bytesOnDisk ?? 0, oldest: isoOrNull(journal?.oldestReceivedAtMs ?? undefined) },
    dedupe: dedupeAnswer(view),
    watermark: isoOrNull(live.watermarkMs),
    final_up_to: isoOrNull(live.finalUpToMs > 0 ? live.finalUpToMs : undefined),
    generation: live.generation,
    instance: live.instance,
    ready: state.ready,
    door: state.door,
    thread_restarts: view.threadRestarts,
    alarms: [...view.alarms().keys()],
  };
}

/** Repeats that differ may be events of their own: two that one user made in one second. */
function dedupeAnswer({ engine, settings }: Daemon): object {
  const { mode, horizonMs } = dedupeSettings(settings);
  return { mode, horizon_hours: horizonMs / MS_PER_HOUR, entries: engine.sumOf('dedupeEntries'), differing_repeats: engine.sumOf('differingRepeats') };
}

/**
 * Records of one partition that are durable and not yet folded. 0 is exact; above it the journal would have to be read to count
 * them, so the lag in bytes is divided by the mean record and spread evenly over the partitions.
 */
function lagRecords(view: Daemon, lagBytes: number): number {
  const journal = view.state.ingress?.journal;
  if (lagBytes <= 0 || journal === undefined || journal.records === 0) return 0;
  const meanBytes = Math.max(1, view.state.ingress?.door.recordBytes ?? 0) / Math.max(1, journal.records);
  return Math.max(1, Math.round(lagBytes / Math.max(64, meanBytes) / view.settings.partitions));
}

function resultRoutes(view: Daemon): AdminRoute[] {
  const rejects = new LastRejects(view);
  const metrics = (kind: MetricsKind, path: string, summary: string): AdminRoute => ({
    method: 'GET',
    path,
    summary,
    query: metricsQuerySchema(view.engine.live.schema),
    answers: { 200: 'rows', 400: 'a parameter is wrong: key, value and fix', 503: 'recovery has not finished' },
    contentType: JSON_TYPE,
    handle: async (request) => {
      requireReady(view);
      return queryMetrics(view.engine.live, kind, request.query);
    },
  });
  return [
    metrics('hourly', '/v1/metrics/hourly', 'Hourly metrics by any dimensions'),
    metrics('daily', '/v1/metrics/daily', 'Daily metrics by any dimensions'),
    {
      method: 'GET',
      path: '/v1/costs',
      summary: 'Spend by date, app, media source, campaign and country, as it was stated last',
      query: costsQuerySchema,
      answers: { 200: 'rows in the order of those names; with next_cursor there may be more', 400: 'a parameter is wrong: key, value and fix' },
      contentType: JSON_TYPE,
      handle: (request) => queryCosts(view.costs, request.query, systemClock.nowMs()),
    },
    {
      method: 'GET',
      path: '/v1/definitions',
      summary: 'The dictionary: every dimension and measure, its formula, its source fields and AppsFlyer\'s own name',
      answers: { 200: 'definitions' },
      contentType: JSON_TYPE,
      handle: () => json(dictionary()),
    },
    {
      method: 'GET',
      path: '/v1/stream',
      summary: 'Server-sent events: a snapshot of the current hour, at most one a second; a slow client gets the latest, never a queue',
      answers: { 200: 'text/event-stream' },
      contentType: 'text/event-stream',
      lasting: true,
      handle: (request) => {
        requireReady(view);
        return { contentType: 'text/event-stream', headers: { 'cache-control': 'no-store', 'x-accel-buffering': 'no' }, body: liveStream(view, rejects, request) };
      },
    },
  ];
}

const tailQuerySchema = z.strictObject({
  limit: wholeNumber(1, 500).default(20),
  app_id: z.string().max(200).optional(),
  outcome: z.enum(VERDICT_NAMES).optional(),
  after: z.string().max(16_000).optional(),
});
const coverageQuerySchema = z.strictObject({ records: wholeNumber(1, COVERAGE_RECORDS_MAX).default(COVERAGE_RECORDS_MAX), app_id: z.string().max(200).optional() });

function recordRoutes(view: Daemon): AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/v1/tail',
      summary: 'The last records with outcome, reason and cell',
      query: tailQuerySchema,
      answers: {
        200: `the newest records, oldest first, with app_id those among the last ${LOOKED_AT_MAX}; cursor is what to give as after for those that follow: the next ones then, and more tells that further ones wait`,
        400: 'a parameter is wrong: key, value and fix',
      },
      contentType: JSON_TYPE,
      handle: async (request) => json(await tailRecords(tailSourceOf(view), parseQuery(tailQuerySchema, request.query))),
    },
    ...letterRoutes(view),
    {
      method: 'GET',
      path: '/v1/coverage',
      summary: 'Fields that the last records of each app lack, and the figures that suffer',
      query: coverageQuerySchema,
      answers: { 200: `by app: fields that none of its records had, with what that does, and those that some had; of the last ${COVERAGE_RECORDS_MAX} records at most`, 400: 'a parameter is wrong: key, value and fix' },
      contentType: JSON_TYPE,
      handle: async (request) => json(await coverage(tailSourceOf(view), parseQuery(coverageQuerySchema, request.query))),
    },
  ];
}

function pageRoutes(): AdminRoute[] {
  const file = (path: string, name: string): AdminRoute => ({
    method: 'GET',
    path,
    summary: `The live page: ${name}`,
    answers: { 200: name },
    contentType: 'text/html',
    handle: () => {
      const { contentType, body } = dashboardFile(name);
      return { contentType, body, headers: { 'cache-control': 'no-cache', 'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'", 'x-content-type-options': 'nosniff' } };
    },
  });
  return [file('/', 'page.html'), file('/assets/page.js', 'page.js'), file('/assets/page.css', 'page.css')];
}

function actionRoutes(view: Daemon): AdminRoute[] {
  const savepointQuery = z.strictObject({ directory: z.string().min(1).max(4_000), progress: flag().default(false) });
  const faultQuery = z.strictObject({ thread: z.string().regex(/^(ingress(-[1-7])?|\d{1,3})$/) });
  const hangQuery = faultQuery.extend({ in: z.enum(['script', 'native']).default('script') });
  const savepoint: AdminRoute = {
    method: 'POST',
    path: '/v1/savepoints',
    summary: 'Take a savepoint into a directory that does not exist yet',
    query: savepointQuery,
    answers: { 200: 'taken; with progress=true a line of JSON each second with the bytes copied so far, the last one with the savepoint or the error', 400: 'the directory cannot be used' },
    contentType: JSON_TYPE,
    lasting: true,
    handle: async (request) => {
      requireReady(view);
      const { directory, progress } = parseQuery(savepointQuery, request.query);
      const taken = view.savepoint(directory);
      return progress ? savepointReply(directory, taken, () => bytesOf(directory)) : json({ directory, bytes: await taken });
    },
  };
  const erasures = eraseRoutes(() => (view.state.ready ? view.erasures : null));
  const backfill = backfillRoute(() => view.pull, () => systemClock.nowMs());
  if (!view.settings.fault_injection) return [savepoint, backfill, ...erasures];
  return [
    savepoint,
    backfill,
    ...erasures,
    faultRoute(view, '/v1/faults/kill-thread', 'Fault injection: end a thread as a bug would', faultQuery, () => 'die'),
    faultRoute(view, '/v1/faults/hang-thread', 'Fault injection: stop a thread for ever, in script or in a native call', hangQuery, (query) => (query.in === 'native' ? 'hang-native' : 'hang')),
  ];
}

function faultRoute<Schema extends z.ZodType<{ thread: string }>>(view: Daemon, path: string, summary: string, query: Schema, how: (query: z.output<Schema>) => Fault): AdminRoute {
  return {
    method: 'POST',
    path,
    summary,
    query,
    answers: { 200: 'done' },
    contentType: JSON_TYPE,
    handle: (request) => {
      const asked = parseQuery(query, request.query);
      view.faultThread(asked.thread, how(asked));
      return json({ done: true });
    },
  };
}
