/** `millrace check`: the configuration judged without starting anything, and the disk it needs at a given rate. */

import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isPullOn, pollsPerDay } from '../../ingress/pull/index.ts';
import { MS_PER_HOUR } from '../core/types.ts';
import { GEO_SETTING } from '../geo-watch.ts';
import { freeBytes, totalBytes, readInstance } from '../runtime/data-directory.ts';
import { readGeoFile } from '../runtime/geo-file.ts';
import { connectionsMax, openFilesMax } from '../runtime/open-files.ts';
import { actorThreadCount } from '../runtime/lanes.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { dedupeSettings } from '../dedupe-settings.ts';
import { ingressThreadsOf, journalBytesMax, poolThreadsOf, type Settings } from '../settings.ts';
import { checkIngress } from '../../ingress/index.ts';
import { AdminAccess } from '../runtime/admin-access.ts';
import { loadSettings } from './settings.ts';

/** Journal bytes of one Push message: 1.6 KB of JSON and its record header (bench/micro/journal.ts). */
const EVENT_BYTES = 1_640;
/** What a fingerprint takes in memory, in log and table, and in the store, pages that compaction has freed included (bench/micro/memory.ts --disk 240: 33). */
const FINGERPRINT_MEMORY_BYTES = 24;
const FINGERPRINT_DISK_BYTES = 34;
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

export async function check(options: { readonly config?: string | undefined; readonly rate: number }): Promise<number> {
  const settings = loadSettings(options);
  const warnings = [...dedupeSettings(settings).warnings];
  AdminAccess.open(settings.admin);
  await checkIngress(settings.ingest);
  const geoFile = settings.enrichment.geoip_file === '' ? null : await readGeoFile(settings.enrichment.geoip_file, GEO_SETTING);
  const lines = [...describe(settings, options.rate, warnings)];
  if (geoFile !== null) lines.push(`GeoIP file       ${(geoFile.bytes.byteLength / MIB).toFixed(0)} MiB, held by each actor and pool thread while it is in use`);
  process.stdout.write(`${lines.join('\n')}\n`);
  for (const warning of warnings) process.stdout.write(`warning: ${warning}\n`);
  process.stdout.write('the configuration is valid\n');
  return exitCodes.ok;
}

function* describe(settings: Settings, ratePerMinute: number, warnings: string[]): Generator<string> {
  const allowed = connectionsMax(settings.ingest.connections_max, openFilesMax());
  if (allowed < settings.ingest.connections_max) warnings.push(`the limit of open files (ulimit -n) leaves room for ${allowed} connections, not for the ${settings.ingest.connections_max} of ingest.connections_max`);
  const place = existing(resolve(settings.data_dir));
  const instance = existsSync(settings.data_dir) ? readInstance(settings.data_dir) : null;
  const free = freeBytes(place);
  const journalMax = journalBytesMax(settings, totalBytes(place));
  const bytesPerSecond = (ratePerMinute / 60) * EVENT_BYTES;
  const hoursKept = Math.min(settings.journal.retention_hours, (journalMax / bytesPerSecond) * (1_000 / MS_PER_HOUR));
  const horizonHours = dedupeSettings(settings).horizonMs / MS_PER_HOUR;
  const fingerprints = ratePerMinute * 60 * horizonHours;
  yield `data directory   ${resolve(settings.data_dir)}${instance === null ? ' (new)' : ` (instance ${instance.instance}, generation ${instance.generation})`}`;
  yield `free disk        ${gib(free)}, of which ${gib(settings.disk.reserve_bytes)} are reserved: the door answers 503 below that`;
  yield `threads          ${actorThreadCount(settings.threads.actors, settings.partitions)} actor, ${ingressThreadsOf(settings)} ingress, ${poolThreadsOf(settings)} pool; ${settings.partitions} partitions`;
  if (isPullOn(settings.pull)) {
    const { apps, reports, overlap_hours } = settings.pull;
    yield `pull             ${apps.length} apps, reports ${reports.map((report) => `${report} (${pollsPerDay(report, settings.pull)} polls a day)`).join(', ')}; each reads ${overlap_hours} h again`;
  }
  yield `at ${Math.round(ratePerMinute)} events a minute (1.6 KB each):`;
  yield `  journal        ${(bytesPerSecond / MIB).toFixed(2)} MiB/s to disk; ${gib(journalMax)} keep ${hoursKept.toFixed(1)} h of the ${settings.journal.retention_hours} h asked for`;
  yield `  dedupe         ${Math.round(fingerprints / 1e6)} M identities in ${horizonHours} h: ${gib(Math.min(fingerprints * FINGERPRINT_MEMORY_BYTES, settings.dedupe.memory_bytes_max))} of memory, ${gib(fingerprints * FINGERPRINT_DISK_BYTES)} of disk`;
  const needed = hoursKept * 3_600 * bytesPerSecond + fingerprints * FINGERPRINT_DISK_BYTES + settings.disk.reserve_bytes;
  yield `  disk in all    about ${gib(needed)}, and up to ${gib(settings.lake.spool_bytes_max)} of lake spool while the lake is away`;
  if (hoursKept < settings.journal.retention_hours) warnings.push(`journal.bytes_max keeps ${hoursKept.toFixed(1)} h at this rate, not the ${settings.journal.retention_hours} h of journal.retention_hours`);
  if (needed > free) warnings.push(`${gib(needed)} are needed at this rate and ${gib(free)} are free: the door would answer 503 in time`);
  if (free < settings.disk.reserve_bytes) warnings.push(`less is free than disk.reserve_bytes: the door would answer 503 from the start: free space or lower disk.reserve_bytes (MILLRACE_DISK_RESERVE_BYTES)`);
}

function existing(path: string): string {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

const gib = (bytes: number): string => (bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / MIB)} MiB`);
