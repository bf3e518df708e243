/** Merge and live store on a real file: exact through reopening, and what a copy of the file holds. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Merge } from '../../../actors/merge/index.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import { openStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../../sinks/live/index.ts';
import { measureMerge } from '../../../bench/micro/merge.ts';
import { partial, report, schema } from '../../unit/merge/helpers.ts';

const PARTITIONS = 4;
const CELLS = 3_000;
const identity = { schema, instance: 'c'.repeat(32), generation: 1, partitionCount: PARTITIONS, retentionDays: 40 };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-live-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const open = (file: string) => {
  const store = openStore({ path: join(directory, file), tables: LIVE_TABLES });
  const live = LiveStore.open({ ...identity, store, limits: { logAgeMs: 20, logCellsMax: 2_000, memoryCellsMax: 1_500 } });
  const merge = new Merge({ schema, partitionCount: PARTITIONS, exists: (name) => live.cell(name), limits: { idleCellsMax: 100 } });
  return { store, live, merge };
};

describe('merge and live store on LMDB', () => {
  it('keep exact sums through reopening, eviction and requests for missing shares', async () => {
    let { store, live, merge } = open('live.mdb');
    const shares = Array.from({ length: PARTITIONS }, () => new Map<string, ReturnType<typeof partial>>());
    const sequences = new Array<number>(PARTITIONS).fill(0);
    const restart = (): void => {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const settled = live.settledSequences().get(partition) ?? 0;
        const cells = [...(shares[partition]?.values() ?? [])].filter((cell) => cell.kind === CellKind.hour || cell.revision > settled);
        merge.accept(report(partition, sequences[partition] as number, cells));
        merge.complete(partition);
      }
    };
    const write = async (nowMs: number): Promise<void> => {
      for (;;) {
        const output = merge.drain(nowMs);
        if (output !== null) {
          await live.apply(output, nowMs);
          merge.settled(output);
        }
        const request = merge.takeRequests();
        if (request === null && output === null) return;
        if (request === null) continue;
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const asked = request.names.flatMap((name) => shares[partition]?.get(`${name.kind}${name.dimensions}`) ?? []);
          merge.accept(report(partition, sequences[partition] as number, asked));
          merge.answered(partition, request.requestId);
        }
      }
    };
    restart();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 24; round++) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const changed = Array.from({ length: 250 }, () => {
          const revision = (sequences[partition] as number) + 1;
          sequences[partition] = revision;
          const kind = random(2) === 0 ? CellKind.hour : CellKind.day;
          const dimensions = `c${random(CELLS)}\u001fDE`;
          const former = shares[partition]?.get(`${kind}${dimensions}`);
          const cell = partial({ kind, dimensions, revision, records: (former?.records ?? 0) + 1, measures: [(former?.measures[0] ?? 0) + 1, (former?.measures[1] ?? 0) + random(100) - 50] });
          shares[partition]?.set(`${kind}${dimensions}`, cell);
          return cell;
        });
        merge.accept(report(partition, sequences[partition] as number, changed));
      }
      await write(round * 10);
      if (round % 8 === 7) {
        await store.close();
        ({ store, live, merge } = open('live.mdb'));
        restart();
        await write(round * 10);
      }
    }
    for (const kind of [CellKind.hour, CellKind.day]) {
      const expected = new Map<string, number[]>();
      for (const own of shares) {
        for (const cell of own.values()) {
          if (cell.kind !== kind) continue;
          const sum = expected.get(cell.dimensions) ?? [0, 0, 0];
          expected.set(cell.dimensions, [...cell.measures, cell.revision].map((value, index) => value + (sum[index] as number)));
        }
      }
      const found = live.window(kind, 0, null, 1e9).map((cell) => [cell.dimensions, [...cell.measures, cell.revision]] as const);
      expect(new Map(found)).toEqual(expected);
    }
    expect([...live.settledSequences().values()]).toEqual(sequences);
    expect(merge.alarms).toEqual({ saturatedMeasures: 0, refusedLower: 0, refusedFinal: 0 });
    const hash = await live.stateHash();
    await store.copyTo(join(directory, 'copy.mdb'));
    await store.close();
    const copy = open('copy.mdb');
    expect(await copy.live.stateHash()).toBe(hash);
    expect(copy.live.latest).toBe(live.latest);
    await copy.store.close();
  });

  it('is measured by a bench that runs', async () => {
    const figures = await measureMerge(300, 4);
    expect(figures.cpuUs).toBeGreaterThan(0);
    expect(figures.fileMb).toBeLessThan(100);
  });
});
