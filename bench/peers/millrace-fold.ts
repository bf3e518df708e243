/**
 * One lane of a journal folded by itself, as a process: what bench/micro/replay.ts measures, without checkpoints. Writes its cells to a file.
 *
 * node dist/bench/peers/millrace-fold.js <data directory> <lane> <lanes> <file>
 */

import { writeFileSync } from 'node:fs';
import { directoriesOf, readInstance } from '../../engine/runtime/data-directory.ts';
import { BENCH_PARTITIONS, openBenchPartitions } from '../micro/bench-partition.ts';
import { endOfJournal, foldJournal } from '../micro/replay.ts';
import { addCells, ReplayCells } from './replay-cells.ts';

const [dataDirectory, lane, lanes, file] = process.argv.slice(2) as [string, string, string, string];
const directory = directoriesOf(dataDirectory).journal;
const count = BENCH_PARTITIONS / Number(lanes);
const first = count * Number(lane);
const actors = openBenchPartitions(first, count, { instance: readInstance(dataDirectory)?.instance ?? '' });
await foldJournal({ directory, end: endOfJournal(directory), actors, lane: { first, count } });
const cells = new ReplayCells();
for (const actor of actors) addCells(cells, actor.report('all').cells);
writeFileSync(file, cells.lines().join('\n'));
