/** The daemon's figures as Prometheus families, gathered from threads, stores and sinks at each scrape. */

import { VERDICT_NAMES } from './core/record.ts';
import type { Daemon } from './main.ts';
import type { HistogramFamily, MetricFamily, Sample } from './runtime/metrics.ts';

type Family = MetricFamily | HistogramFamily;

const counter = (name: string, help: string, samples: readonly Sample[] | number): MetricFamily => ({ name, help, type: 'counter', samples: typeof samples === 'number' ? [{ value: samples }] : samples });
const gauge = (name: string, help: string, samples: readonly Sample[] | number): MetricFamily => ({ name, help, type: 'gauge', samples: typeof samples === 'number' ? [{ value: samples }] : samples });

export function metricFamilies(view: Daemon): Family[] {
  return [...conservationFamilies(view), ...doorFamilies(view), ...journalFamilies(view), ...partitionFamilies(view), ...sinkFamilies(view), ...spoolFamilies(view), ...costFamilies(view), ...pullFamilies(view), ...alarmFamilies(view), ...processFamilies(view)];
}

function conservationFamilies({ engine }: Daemon): Family[] {
  const conservation = engine.live.conservation();
  const byCode = new Map<string, number>();
  for (const stats of engine.partitionStats.values()) {
    for (const [code, count] of Object.entries((stats['rejects'] ?? {}) as Record<string, number>)) byCode.set(code, (byCode.get(code) ?? 0) + count);
  }
  return [
    counter('millrace_records_received_total', 'Records counted from batch indexes; equals the sum of verdicts', conservation.received),
    counter('millrace_records_total', 'Records by verdict', VERDICT_NAMES.map((verdict) => ({ labels: { verdict }, value: conservation[verdict] }))),
    counter('millrace_rejected_total', 'Rejected records by code', [...byCode].map(([code, value]) => ({ labels: { code }, value }))),
  ];
}

function doorFamilies({ state }: Daemon): Family[] {
  const door = state.ingress?.door;
  if (door === undefined || state.door === null) return [];
  return [
    gauge('millrace_door', '1 for the HTTP door in use; fallback says why it is not uWebSockets.js', [{ labels: { door: state.door.kind, fallback: state.door.fallbackReason ?? '' }, value: 1 }]),
    counter('millrace_requests_total', 'Requests by route and status', Object.entries(door.requests).flatMap(([route, statuses]) => Object.entries(statuses).map(([status, value]) => ({ labels: { route, status }, value })))),
    counter('millrace_refused_total', 'Requests refused before they were received, by reason', Object.entries(door.refusals).map(([reason, value]) => ({ labels: { reason }, value }))),
    ...(door.certificateExpiresAtMs === null ? [] : [gauge('millrace_certificate_expires_seconds', 'Until the certificate of the ingest port expires', (door.certificateExpiresAtMs - Date.now()) / 1_000)]),
    counter('millrace_ingress_records_total', 'Records appended by this process, by route', Object.entries(door.records).map(([route, value]) => ({ labels: { route }, value }))),
    gauge('millrace_in_flight_bytes', 'Body bytes received and not yet answered', door.inFlightBytes),
    { name: 'millrace_ack_latency_seconds', help: 'From the last byte of a request to its durable answer', type: 'histogram', series: [{ snapshot: door.ackLatency }] },
  ];
}

function journalFamilies({ state }: Daemon): Family[] {
  const journal = state.ingress?.journal;
  if (journal === undefined) return [];
  return [
    gauge('millrace_journal_durable_offset', 'Offset up to which the journal is durable; the sum over several journals', journal.durableOffset),
    gauge('millrace_journal_ahead_seconds', 'Log time, which never goes back, ahead of the clock', journal.aheadMs / 1_000),
    gauge('millrace_journal_bytes', 'Bytes of journal on disk', journal.bytesOnDisk),
    counter('millrace_journal_batches_total', 'Batches written by this process, ticks included', journal.batches),
    counter('millrace_journal_failed_commits_total', 'Batches that could not be made durable', journal.failedCommits),
    { name: 'millrace_journal_sync_seconds', help: 'Duration of journal syncs', type: 'histogram', series: [{ snapshot: journal.syncLatency }] },
    gauge('millrace_disk_free_bytes', 'Bytes free where the data directory lies', state.diskFreeBytes),
    gauge('millrace_disk_reserve_exhausted', '1 while the door answers 503 for want of disk', state.diskReserveExhausted ? 1 : 0),
  ];
}

function partitionFamilies({ engine, state }: Daemon): Family[] {
  const partitions = engine.live.partitionStates();
  const threads = [...engine.threadStats];
  const sum = (figure: string): number => engine.sumOf(figure);
  const durable = state.ingress?.journal.durableOffset ?? 0;
  const watermarks = partitions.filter((partition) => partition.watermarkMs >= 0);
  return [
    gauge('millrace_watermark_lag_seconds', 'Age of each partition\'s watermark', watermarks.map((partition) => ({ labels: { partition: String(partition.partition) }, value: Math.max(0, (Date.now() - partition.watermarkMs) / 1_000) }))),
    gauge('millrace_actor_lag_bytes', 'Journal bytes that an actor thread has not folded', threads.map(([thread, stats]) => ({ labels: { thread: String(thread) }, value: Math.max(0, durable - stats.offset) }))),
    counter('millrace_actor_busy_seconds_total', 'Time an actor thread spent folding', threads.map(([thread, stats]) => ({ labels: { thread: String(thread) }, value: stats.busyMs / 1_000 }))),
    gauge('millrace_thread_heap_bytes', 'JavaScript heap of a thread, with the buffers that it holds outside', [...threads.map(([thread, stats]) => ({ labels: { thread: String(thread) }, value: stats.heapBytes })), ...(state.ingress?.heapBytes ?? []).map((value, thread) => ({ labels: { thread: thread === 0 ? 'ingress' : `ingress-${thread}` }, value }))]),
    counter('millrace_checkpoints_total', 'Checkpoints flushed', threads.map(([thread, stats]) => ({ labels: { thread: String(thread) }, value: stats.checkpoints }))),
    counter('millrace_checkpoint_failures_total', 'Checkpoints that could not be written', threads.map(([thread, stats]) => ({ labels: { thread: String(thread) }, value: stats.checkpointFailures }))),
    gauge('millrace_cells_in_memory', 'Cells that partitions hold in memory', sum('cellsInMemory')),
    gauge('millrace_dedupe_entries', 'Identities remembered', sum('dedupeEntries')),
    counter('millrace_dedupe_differing_repeats_total', 'Repeats in mode push+pull-seconds whose milliseconds differ from those of the event they were taken for', sum('differingRepeats')),
    gauge('millrace_dedupe_memory_bytes', 'Memory of the dedupe tables', sum('dedupeMemoryBytes')),
    gauge('millrace_dead_letter_bytes', 'Bytes in the dead-letter store', sum('deadLetterBytes')),
    gauge('millrace_dead_letters', 'Dead letters that are kept, by whether a retry has settled them', [
      { labels: { state: 'waiting' }, value: sum('deadLettersWaiting') },
      { labels: { state: 'settled' }, value: sum('deadLetters') - sum('deadLettersWaiting') },
    ]),
    counter('millrace_dead_letters_expired_total', 'Dead letters that left, for newer ones (bytes) or for their age', [
      { labels: { reason: 'bytes' }, value: sum('deadLettersExpired') },
      { labels: { reason: 'age' }, value: sum('deadLettersExpiredByAge') },
    ]),
    counter('millrace_dead_letters_expired_waiting_total', 'Those of them that no retry had settled', sum('deadLettersExpiredWaiting')),
    counter('millrace_dead_letters_dropped_total', 'Dead letters removed by hand', sum('deadLettersDropped')),
    counter('millrace_dead_letters_retried_total', 'Dead letters sent again, by outcome', (['Accepted', 'Late', 'Duplicate', 'Rejected'] as const).map((outcome) => ({ labels: { outcome: outcome.toLowerCase() }, value: sum(`deadLettersRetried${outcome}`) }))),
  ];
}

function sinkFamilies(view: Daemon): Family[] {
  const healths = view.sinkHealth();
  const each = (value: (health: (typeof healths)[number]) => number): Sample[] => healths.map((health) => ({ labels: { sink: health.name }, value: value(health) }));
  return [
    gauge('millrace_sink_healthy', '1 while the sink takes what it is given', each((health) => (health.healthy ? 1 : 0))),
    gauge('millrace_sink_lag_seconds', 'Age of the oldest change a sink has not settled', each((health) => health.lagMs / 1_000)),
    counter('millrace_sink_writes_total', 'Writes that succeeded', each((health) => health.writes)),
    counter('millrace_sink_failures_total', 'Writes that failed', each((health) => health.failures)),
    { name: 'millrace_visible_latency_seconds', help: 'From receivedAt to visible in the live store and in each sink; the oldest record of each merge', type: 'histogram', series: [...view.engine.latency.snapshots()].map(([sink, snapshot]) => ({ labels: { sink }, snapshot })) },
  ];
}

function spoolFamilies(view: Daemon): Family[] {
  const events = view.eventsHealth();
  if (events === null) return [];
  return [
    gauge('millrace_lake_spool_bytes', 'Files of events/ that wait for upload', events.spoolBytes),
    gauge('millrace_lake_spool_bytes_max', 'At this level slots wait in the journal (lake.spool_bytes_max)', events.spoolBytesMax),
    gauge('millrace_lake_spool_full', '1 while the spool is at its limit', events.spoolFull ? 1 : 0),
    gauge('millrace_lake_slots_held', 'Slots whose records are gathered and not yet in the spool', events.slotsHeld),
    counter('millrace_lake_slots_spooled_total', 'Slots written to the spool', events.slotsSpooled),
    counter('millrace_lake_undecodable_records_total', 'Records accepted once that this program cannot decode again: they are in no file of the lake', events.undecodable),
  ];
}

function costFamilies({ costs }: Daemon): Family[] {
  const { dates, rows } = costs.totals();
  return [gauge('millrace_cost_rows', 'Rows of spend that are kept', rows), gauge('millrace_cost_dates', 'Dates that have spend', dates)];
}

function pullFamilies({ pull }: Daemon): Family[] {
  if (pull === null) return [];
  const { jobs } = pull.figures;
  const each = (value: (job: (typeof jobs)[number]) => number): Sample[] => jobs.map((job) => ({ labels: { app: job.app, report: job.report }, value: value(job) }));
  const nowMs = Date.now();
  return [
    gauge('millrace_pull_last_success_timestamp_seconds', 'When a report was last read to its end; 0 for never', each((job) => job.succeededMs / 1_000)),
    gauge('millrace_pull_lag_seconds', 'Age of the newest event time up to which a report has been read; 0 before the first time', each((job) => (job.coveredToMs === 0 ? 0 : Math.max(0, (nowMs - job.coveredToMs) / 1_000)))),
    gauge('millrace_pull_calls_left', 'Calls left today (UTC) of pull.calls_per_day', each((job) => job.callsLeft)),
    gauge('millrace_pull_healthy', '1 while a report is read as it should; /v1/pipeline says why not', each((job) => (job.trouble === null ? 1 : 0))),
    counter('millrace_pull_calls_total', 'Calls made', each((job) => job.calls)),
    counter('millrace_pull_failures_total', 'Calls and readings that failed', each((job) => job.failures)),
    counter(
      'millrace_pull_rows_total',
      'Rows by what became of them: appended to the journal, known to the lake already, skipped because nobody can tell, malformed',
      jobs.flatMap(({ app, report, appended, known, skipped, malformed }) => Object.entries({ appended, known, skipped, malformed }).map(([outcome, value]) => ({ labels: { app, report, outcome }, value }))),
    ),
  ];
}

function alarmFamilies(view: Daemon): Family[] {
  const alarms = view.alarms();
  const { refusedLower, refusedFinal, saturatedMeasures } = view.engine.mergeAlarms;
  return [
    gauge('millrace_alarms', 'Limits that are reached; /v1/pipeline names them', alarms.size),
    gauge('millrace_alarm_partitions', 'Partitions that have reached a limit', [...alarms].map(([alarm, value]) => ({ labels: { alarm }, value }))),
    counter('millrace_merge_refused_total', 'Changes not shown because they would have lowered a stored revision or changed a final cell: a bug', [
      { labels: { reason: 'lower' }, value: refusedLower },
      { labels: { reason: 'final' }, value: refusedFinal },
    ]),
    counter('millrace_saturated_measures_total', 'Measures shown as the largest exact number because their total lies beyond it', saturatedMeasures),
  ];
}

function processFamilies(view: Daemon): Family[] {
  const restarts = view.threadRestarts;
  const egress = view.engine.egressStats();
  return [
    gauge('millrace_ready', '1 when recovery is complete and the door listens', view.state.ready && view.state.door !== null ? 1 : 0),
    counter('millrace_thread_restarts_total', 'Threads replaced after a death', [
      { labels: { thread: 'actor' }, value: restarts.actors },
      { labels: { thread: 'ingress' }, value: restarts.ingress },
      ...(view.pull === null ? [] : [{ labels: { thread: 'pull' }, value: view.pull.restarts }]),
    ]),
    counter('millrace_actor_stalls_total', 'Actor threads that made no step for too long and were replaced', view.engine.actorStalls),
    counter('millrace_merged_cells_total', 'Merged cells written to the live store', egress.cellsWritten),
    counter('millrace_egress_faults_total', 'Live store transactions that failed', egress.faults),
  ];
}
