/** `millrace inspect`: what a data directory holds, read without changing it. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, Partition } from '../../actors/partition/index.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { EngineError } from '../core/errors.ts';
import { resultSchema } from '../core/pipeline.ts';
import { NO_RESOURCES } from '../core/rule-resources.ts';
import { MS_PER_DAY, partitionId } from '../core/types.ts';
import { inspectJournal, type JournalReport } from '../log/index.ts';
import { partitionFile } from '../runtime/actor-loop.ts';
import { directoriesOf, journalsOf, readInstance, whileLocked, type InstanceFacts } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { openStore } from '../state/index.ts';
import { loadSettings } from './settings.ts';

export async function inspect(options: { readonly config?: string; readonly stateHash: boolean; readonly json: boolean }): Promise<number> {
  const settings = loadSettings(options);
  const path = resolve(settings.data_dir);
  const facts = readInstance(path);
  if (facts === null) throw new EngineError('DATA_DIR_UNUSABLE', `${path} holds no data directory`, { fix: 'set data_dir (MILLRACE_DATA_DIR)' });
  if (options.stateHash) {
    process.stdout.write(`${await whileLocked(path, () => stateHash(path, facts, settings.cells.retention_days))}\n`);
    return exitCodes.ok;
  }
  const [journal, ...others] = journalsOf(path).map((directory) => inspectJournal({ directory }));
  const report = { ...facts, path, journal: journal as JournalReport, ...(others.length > 0 && { other_journals: others }), partitions: await partitions(path, facts) };
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${text(report)}\n`);
  return exitCodes.ok;
}

/**
 * One hash over every partition's state and every merged cell that the directory's rules keep; equal for any replay of the same log. The
 * daemon must not run. `retentionDays` counts where no partition has rules yet.
 */
async function stateHash(path: string, facts: InstanceFacts, retentionDays: number): Promise<string> {
  const hash = createHash('sha256');
  let rulesOffset = -1;
  await eachPartition(path, facts, (partition) => {
    hash.update(partition.stateHash());
    if (partition.rules === null || partition.offset <= rulesOffset) return;
    rulesOffset = partition.offset;
    retentionDays = partition.rules.cellRetentionMs / MS_PER_DAY;
  });
  const store = openStore({ path: join(directoriesOf(path).live, 'live.mdb'), tables: LIVE_TABLES });
  const live = LiveStore.open({ store, schema: resultSchema(appsflyerPipeline), instance: facts.instance, generation: facts.generation, partitionCount: facts.partitionCount, retentionDays });
  hash.update(await live.stateHash());
  await store.close();
  return hash.digest('hex');
}

async function partitions(path: string, facts: InstanceFacts): Promise<PartitionFound[]> {
  const found: PartitionFound[] = [];
  await eachPartition(path, facts, (partition) => {
    found.push({ id: partition.id, offset: partition.offset, offsets: partition.offsets, sequence: partition.sequence, stats: partition.stats() });
  });
  return found;
}

interface PartitionFound {
  readonly id: number;
  /** The sum over the journals. */
  readonly offset: number;
  /** By journal. */
  readonly offsets: readonly number[];
  readonly sequence: number;
  readonly stats: object;
}

async function eachPartition(path: string, facts: InstanceFacts, visit: (partition: Partition<never, never>) => void): Promise<void> {
  for (let id = 0; id < facts.partitionCount; id++) {
    const file = join(directoriesOf(path).state, partitionFile(id));
    if (!existsSync(file)) continue;
    const store = openStore({ path: file, tables: PARTITION_TABLES });
    const partition = Partition.open({
      id: partitionId(id),
      partitionCount: facts.partitionCount,
      instance: facts.instance,
      pipeline: appsflyerPipeline,
      resources: NO_RESOURCES,
      store,
      dedupeMemoryBytesMax: 1024 ** 3,
      current: new Float64Array(3),
      isPoison: () => false,
    });
    visit(partition as unknown as Partition<never, never>);
    await store.close();
  }
}

function text(report: { instance: string; generation: number; partitionCount: number; path: string; journal: object; other_journals?: readonly object[]; partitions: readonly PartitionFound[] }): string {
  return [
    `data directory ${report.path}`,
    `instance ${report.instance}, generation ${report.generation}, ${report.partitionCount} partitions`,
    `journal ${JSON.stringify(report.journal, null, 2)}`,
    ...(report.other_journals ?? []).map((journal, at) => `journal ${at + 1} ${JSON.stringify(journal, null, 2)}`),
    ...report.partitions.map((partition) => `partition ${partition.id}: checkpoint at offset ${partition.offsets.join(' + ')}, sequence ${partition.sequence}`),
  ].join('\n');
}
