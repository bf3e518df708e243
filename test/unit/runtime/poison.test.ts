import type * as Fs from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';

// The list's file lives in memory: what is under test is which deaths count, and what a second life reads.
const files = vi.hoisted(() => new Map<string, string>());
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof Fs>()),
  existsSync: (file: string) => files.has(file),
  readFileSync: (file: string) => files.get(file),
}));
vi.mock('../../../engine/runtime/data-directory.ts', () => ({ writeFileAtomically: (file: string, text: string) => files.set(file, text) }));

const { PoisonList } = await import('../../../engine/runtime/poison.ts');
const FILE = join('data', 'poison.json');

beforeEach(() => {
  files.clear();
});

describe('poison verdicts', () => {
  it('fall at the third death of one record, and are written before they hold', () => {
    const list = new PoisonList('data');
    expect([list.death([7, 2]), list.death([7, 2])]).toEqual([false, false]);
    expect(files.has(FILE)).toBe(false);
    expect(list.death([7, 2])).toBe(true);
    expect(JSON.parse(files.get(FILE) ?? '')).toEqual([[7, 2]]);
    expect(list.verdicts).toEqual([[7, 2]]);
  });

  it('count deaths by record: neighbours and other batches have their own', () => {
    const list = new PoisonList('data');
    for (const record of [[7, 2], [7, 3], [8, 2], [72, 0], [7, 20], [7, 2], [7, 3], [8, 2], [72, 0], [7, 20]] as const) expect(list.death(record)).toBe(false);
    expect(list.death([7, 3])).toBe(true);
    expect(list.verdicts).toEqual([[7, 3]]);
  });

  it('are read by the next life, and added to', () => {
    const first = new PoisonList('data');
    for (let death = 0; death < 3; death++) first.death([7, 2]);
    const second = new PoisonList('data');
    expect(second.verdicts).toEqual([[7, 2]]);
    for (let death = 0; death < 3; death++) second.death([9, 0]);
    expect(new PoisonList('data').verdicts).toEqual([[7, 2], [9, 0]]);
  });

  it.each(['', '{}', '[1]', '[[1]]', '[[1,2,3]]', '[[1,2]'])('that read %j stop the start: a replay would judge otherwise', (text) => {
    files.set(FILE, text);
    expect(() => new PoisonList('data')).toThrow(/cannot be read/);
  });

  it('have a bound', () => {
    files.set(FILE, JSON.stringify(Array.from({ length: 10_000 }, (_, index) => [index, 0])));
    const list = new PoisonList('data');
    expect([list.death([20_000, 0]), list.death([20_000, 0]), list.death([20_000, 0])]).toEqual([false, false, false]);
    expect(list.verdicts).toHaveLength(10_000);
  });
});
