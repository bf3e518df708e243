import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readGeoFile, type GeoFile } from '../../../engine/runtime/geo-file.ts';
import { adoptGeoFile, openGeoCopy, removeUnneeded, supersedeOthers } from '../../../engine/runtime/geo-files.ts';
import { mmdb } from '../../support/mmdb.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-geo-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function fileOf(country: string): Promise<GeoFile> {
  const path = join(root, `${country}.tmp`);
  writeFileSync(path, mmdb([{ network: '192.0.2.0/24', record: { country_code: country } }]));
  const file = await readGeoFile(path, 'enrichment.geoip_file');
  rmSync(path);
  return file;
}

test('a copy stays while a record in the journal may have been counted with it, and leaves then', async () => {
  const [first, second] = [await fileOf('FR'), await fileOf('DE')];
  await adoptGeoFile(root, first);
  supersedeOthers(root, first.hash, 1_000);
  await adoptGeoFile(root, second);
  expect(removeUnneeded(root, 9_999)).toBe(0);
  supersedeOthers(root, second.hash, 2_000);
  supersedeOthers(root, second.hash, 5_000);
  expect(removeUnneeded(root, 2_000)).toBe(0);
  expect(openGeoCopy(root, first.hash).find('192.0.2.1')?.country).toBe('FR');
  expect(removeUnneeded(root, 2_001)).toBe(1);
  expect(readdirSync(root)).toEqual([`${second.hash}.mmdb`]);
});

test('a file that comes back is in use again', async () => {
  const [first, second] = [await fileOf('FR'), await fileOf('DE')];
  await adoptGeoFile(root, first);
  await adoptGeoFile(root, second);
  supersedeOthers(root, second.hash, 2_000);
  await adoptGeoFile(root, first);
  supersedeOthers(root, first.hash, 3_000);
  expect(removeUnneeded(root, 4_000)).toBe(1);
  expect(readdirSync(root)).toEqual([`${first.hash}.mmdb`]);
});

test('a copy that is damaged is told by name, and mended when the file is adopted again', async () => {
  const file = await fileOf('FR');
  await adoptGeoFile(root, file);
  writeFileSync(join(root, `${file.hash}.mmdb`), 'x');
  expect(() => openGeoCopy(root, file.hash)).toThrow(expect.objectContaining({ code: 'RULE_RESOURCE_MISSING' }) as Error);
  await adoptGeoFile(root, file);
  expect(openGeoCopy(root, file.hash).find('192.0.2.1')?.country).toBe('FR');
});

test('a file that is none is refused by the name of its setting', async () => {
  writeFileSync(join(root, 'x.mmdb'), 'x');
  await expect(readGeoFile(join(root, 'x.mmdb'), 'enrichment.geoip_file')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  await expect(readGeoFile(join(root, 'nowhere.mmdb'), 'enrichment.geoip_file')).rejects.toThrow(/enrichment\.geoip_file.*nowhere\.mmdb/);
});
