import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decidePromotion, finishPromotion } from '../../../engine/runtime/promotion.ts';

const FILES = ['live/live.mdb', 'state/p000.mdb', 'state/p002.mdb'];
const OLD = { instance: 'i', generation: 1 };
const NEW = { instance: 'i', generation: 2 };
let path: string;

const put = (name: string, text: string): void => {
  mkdirSync(dirname(join(path, name)), { recursive: true });
  writeFileSync(join(path, name), text);
};
const read = (name: string): string => readFileSync(join(path, name), 'utf8');

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'millrace-promotion-'));
  for (const name of [...FILES, 'state/p001.mdb']) put(name, 'old');
  for (const name of FILES) put(`shadows/a/next/${name}`, 'new');
  put('instance.json', JSON.stringify(OLD));
});
afterEach(() => {
  rmSync(path, { recursive: true, force: true });
});

describe('a promotion', () => {
  it('that was not decided changes nothing', () => {
    finishPromotion(path);
    expect(FILES.map(read)).toEqual(['old', 'old', 'old']);
    expect(JSON.parse(read('instance.json'))).toEqual(OLD);
  });

  it.each([0, 1, 2, 3, 4])('that was decided and cut off after %i of its steps is finished by whoever comes next', (steps) => {
    decidePromotion(path, { version: 1, from: 'shadows/a/next', files: FILES, instance: NEW });
    for (const name of FILES.slice(0, steps)) renameSync(join(path, 'shadows/a/next', name), join(path, name));
    if (steps > FILES.length) put('instance.json', JSON.stringify(NEW));
    finishPromotion(path);
    expect(FILES.map(read)).toEqual(['new', 'new', 'new']);
    expect(read('state/p001.mdb')).toBe('old');
    expect(JSON.parse(read('instance.json'))).toEqual(NEW);
    expect(existsSync(join(path, 'promotion.json'))).toBe(false);
    // Nothing is left to do.
    put('state/p000.mdb', 'newer');
    finishPromotion(path);
    expect(read('state/p000.mdb')).toBe('newer');
  });

  it('of a purge takes erasures.json with it, and what was made for one that was not decided is removed', () => {
    for (const name of [...FILES, 'erasures.json']) put(`purging/next/${name}`, 'purged');
    finishPromotion(path);
    expect(existsSync(join(path, 'purging'))).toBe(false);
    expect(FILES.map(read)).toEqual(['old', 'old', 'old']);
    for (const name of [...FILES, 'erasures.json']) put(`purging/next/${name}`, 'purged');
    decidePromotion(path, { version: 1, from: 'purging/next', files: [...FILES, 'erasures.json'], instance: NEW });
    finishPromotion(path);
    expect([...FILES, 'erasures.json'].map(read)).toEqual(['purged', 'purged', 'purged', 'purged']);
    expect(existsSync(join(path, 'purging'))).toBe(false);
  });

  it('whose order cannot be read, or names files that are not its own, is refused', () => {
    put('promotion.json', '{"version":1');
    expect(() => finishPromotion(path)).toThrow(/cannot be read/);
    put('promotion.json', JSON.stringify({ version: 1, from: 'shadows/../..', files: FILES, instance: NEW }));
    expect(() => finishPromotion(path)).toThrow(/cannot be read/);
    put('promotion.json', JSON.stringify({ version: 1, from: 'shadows/a/next', files: ['../x.mdb'], instance: NEW }));
    expect(() => finishPromotion(path)).toThrow(/cannot be read/);
    expect(FILES.map(read)).toEqual(['old', 'old', 'old']);
  });
});
