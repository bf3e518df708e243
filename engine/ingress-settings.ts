/** What an ingress thread is started with, out of the settings of the daemon and the number of threads that share them. */

import { costsBytesMax, limitMemory } from '../ingress/index.ts';
import { MS_PER_HOUR } from './core/types.ts';
import type { IngressSettings } from './ingress-thread.ts';
import { totalBytes, type DataDirectory } from './runtime/data-directory.ts';
import { journalBytesMax, type Settings } from './settings.ts';

/** What is set holds for the daemon: each thread has its share, and of bytes in flight at least what the largest body needs. */
export function ingressSettings(settings: Settings, directory: DataDirectory, { threads, connections }: { readonly threads: number; readonly connections: number }): IngressSettings {
  const { ingest } = settings;
  return {
    journalDirectories: directory.journals,
    instance: directory.instance,
    partitionCount: settings.partitions,
    segmentBytes: directory.segmentBytes,
    retentionMs: settings.journal.retention_hours * MS_PER_HOUR,
    journalBytesMax: Math.floor(journalBytesMax(settings, totalBytes(directory.path)) / directory.journals.length),
    door: settings.door,
    options: {
      ...ingest,
      connections_max: Math.ceil(connections / threads),
      in_flight_bytes_max: Math.max(Math.floor(ingest.in_flight_bytes_max / threads), Math.min(ingest.in_flight_bytes_max, 2 * Math.max(ingest.events_bytes_max, costsBytesMax(ingest)))),
    },
    limits: limitMemory(),
  };
}
