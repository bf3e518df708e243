/**
 * Every setting of the daemon, in one schema: names, units, bounds and defaults. The sections of ingress and sinks are theirs.
 */

import { PRIVACY_ACTIONS, ROTATION_DAYS_MAX } from '../actors/appsflyer/privacy/policy.ts';
import { JOURNALS_MAX } from './core/log.ts';
import { z, wholeNumber, flag } from './core/schema.ts';
import { actorThreadCount, ingressThreadCount, poolThreadCount } from './runtime/lanes.ts';
import { ingressOptionsSchema } from '../ingress/options.ts';
import { pullOptionsSchema } from '../ingress/pull/options.ts';
import { doorFor } from '../ingress/tls/options.ts';
import { lakeOptionsSchema } from '../sinks/lake/options.ts';
import { redisOptionsSchema } from '../sinks/redis/options.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

export const settingsSchema = z.strictObject({
  data_dir: z.string().min(1).default('./data').describe('journal, state and live store; a local disk'),
  door: z.enum(['auto', 'uws', 'node']).default('auto').describe('HTTP server of the ingest port: uWebSockets.js, node:http, or the first that loads'),
  partitions: wholeNumber(1, 1_024).default(32).describe('fixed for the life of a data directory'),
  ingest: ingressOptionsSchema.prefault({}),
  pull: pullOptionsSchema.prefault({}),
  admin: z.strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    port: wholeNumber(0, 65_535).default(8081),
    read_tokens: z.array(z.string().min(1).max(2_100)).max(1_000).default([]).describe('who sends one of these may see all that the admin port shows: the token, or `name=token`'),
    operate_tokens: z.array(z.string().min(1).max(2_100)).max(1_000).default([]).describe('the same, and may act: savepoints and all else that is no GET'),
    read_tokens_file: z.string().max(4_000).default('').describe('the same as read_tokens, one a line'),
    operate_tokens_file: z.string().max(4_000).default('').describe('the same as operate_tokens, one a line'),
    allow_unauthenticated: flag().default(false).describe('beyond loopback the port needs tokens; true lets anybody in who reaches it'),
  }).prefault({}),
  threads: z.strictObject({
    actors: wholeNumber(0, 256).default(0).describe('0: chosen by the number of cores'),
    ingress: wholeNumber(0, JOURNALS_MAX).default(0).describe('doors on the one port, each with its journal; 0: two fifths of the cores; node:http has one'),
    pool: wholeNumber(0, 64).default(0).describe('threads that encode the lake; they end when idle; 0: the cores that the others leave, 2 at least'),
    // An idle thread beats each second: less would find stalls where there are none.
    stall_timeout_ms: wholeNumber(2_000, 3_600_000).default(30_000).describe('an actor thread that makes no step for so long is replaced, a door restarts the daemon; doubled after each time in a row'),
  }).prefault({}),
  windows: z.strictObject({
    allowed_lateness_seconds: wholeNumber(0, 86_400).default(300),
    future_skew_seconds: wholeNumber(0, 86_400).default(300),
    idle_after_seconds: wholeNumber(1, 86_400).default(60),
  }).prefault({}),
  dedupe: z.strictObject({
    mode: z.enum(['push-ms', 'push+pull-seconds', 'none']).default('push-ms'),
    horizon_hours: wholeNumber(0, 24 * 90).default(0).describe('0: 24, and 72 with Pull'),
    memory_bytes_max: wholeNumber(MIB).default(GIB),
  }).prefault({}),
  metrics: z.strictObject({
    conversion_events: z.array(z.string().min(1).max(100)).max(200).default(['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration']),
  }).prefault({}),
  apps: z.strictObject({
    known: z.array(z.string().min(1).max(255)).max(1_000).default([]).describe('app ids that are taken; records of others are rejected as `UNKNOWN_APP` and kept as dead letters; empty: all'),
    test: z.array(z.string().min(1).max(255)).max(1_000).default([]).describe('app ids whose records count in `test_records` alone'),
    s2s_authoritative: z.array(z.string().min(1).max(255)).max(1_000).default([]).describe('app ids whose copies on the S2S route count as events, and whose AppsFlyer rows with event_source S2S go to the lake alone'),
  }).prefault({}),
  enrichment: z.strictObject({
    geoip_file: z.string().default('').describe('file in MaxMind\'s format (.mmdb); country, region, state and city by ip where AppsFlyer sent none; read again when it changes'),
    user_agent: flag().default(false).describe('device class, platform, OS version and browser by user_agent where AppsFlyer sent none'),
    reload_interval_seconds: wholeNumber(1, 86_400).default(60).describe('how often geoip_file is looked at'),
  }).prefault({}),
  privacy: z.strictObject({
    fields: z.record(z.string(), z.enum(PRIVACY_ACTIONS)).default({}).describe('what becomes of personal fields on their way to the lake'),
    secrets: z.array(z.string()).max(100).default([]).describe('for hashes; the first is in use, former ones follow it until what they hashed is in the lake'),
    secret_file: z.string().default('').describe('the same, one to a line'),
    rotation_days: wholeNumber(0, ROTATION_DAYS_MAX).default(90).describe('hashes begin anew after this; 0: never'),
  }).prefault({}),
  cells: z.strictObject({
    retention_days: wholeNumber(1, 3_650).default(40),
    per_day_max: wholeNumber(1_000).default(1_000_000).describe('distinct cells per day over all partitions; further ones count as other'),
    dimension_limits: z.record(z.string(), wholeNumber(1)).default({}).describe('distinct values by dimension, per partition and day'),
  }).prefault({}),
  emit: z.strictObject({
    interval_ms: wholeNumber(1, 60_000).default(25),
  }).prefault({}),
  checkpoint: z.strictObject({
    interval_ms: wholeNumber(100, 3_600_000).default(10_000).describe('each partition checkpoints once in this time, in rotation; six times as seldom while no events come'),
  }).prefault({}),
  journal: z.strictObject({
    retention_hours: wholeNumber(1, 24 * 365).default(24),
    bytes_max: wholeNumber(0).default(0).describe('0: the smaller of 20 GiB and a quarter of the file system'),
    // The largest batch (8 MiB) must fit; sectors must not straddle segments.
    segment_bytes: wholeNumber(16 * MIB, GIB).refine((bytes) => bytes % 4_096 === 0, 'must be a multiple of 4096').default(64 * MIB).describe('fixed for the life of a data directory'),
  }).prefault({}),
  disk: z.strictObject({
    reserve_bytes: wholeNumber(0).default(GIB).describe('the door answers 503 while less than this is free'),
  }).prefault({}),
  dead_letters: z.strictObject({
    bytes_max: wholeNumber(MIB).default(GIB).describe('all rejected records; the oldest give way, and an alarm comes at 80 %'),
    retention_days: wholeNumber(1, 3_650).default(30).describe('older rejected records leave; an alarm comes at 80 % where nobody has retried them'),
  }).prefault({}),
  costs: z.strictObject({
    retention_days: wholeNumber(1, 3_650).default(750).describe('how far back spend is taken, kept and can be queried'),
    rows_per_date_max: wholeNumber(1_000, 1_000_000).default(100_000).describe('rows of one date; a report that would bring more is refused'),
  }).prefault({}),
  redis: redisOptionsSchema.optional().describe('off unless redis.url is set'),
  lake: lakeOptionsSchema.extend({
    slot_minutes: wholeNumber(1, 1_440).default(15).describe('log time that one set of files of events/ covers'),
    slot_bytes_max: wholeNumber(16 * MIB).default(4 * GIB).describe('journal bytes that end a slot early'),
  }).prefault({}),
  log: z.strictObject({
    level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  }).prefault({}),
  /** For fault tests: routes that kill threads on demand. */
  fault_injection: flag().default(false),
});

export type Settings = z.output<typeof settingsSchema>;

/** What the journal may take of a file system of `diskBytes`. */
export const journalBytesMax = ({ journal }: Settings, diskBytes: number): number => (journal.bytes_max > 0 ? journal.bytes_max : Math.floor(Math.min(20 * GIB, diskBytes / 4)));

/** node:http cannot share its port: a second thread would have no door. */
export const ingressThreadsOf = ({ door, ingest, threads }: Settings): number => (doorFor(door, ingest.tls) === 'node' ? 1 : ingressThreadCount(threads.ingress));

export const poolThreadsOf = (settings: Settings): number =>
  poolThreadCount(settings.threads.pool, ingressThreadsOf(settings) + actorThreadCount(settings.threads.actors, settings.partitions));
