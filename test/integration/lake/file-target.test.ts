import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FileTarget } from '../../../sinks/lake/file-target.ts';

const HOUR = 'hourly/event_date=2026-11-22/hour=01/metrics.parquet';
const version = (revision: bigint, generation = 1): { generation: number; revision: bigint } => ({ generation, revision });
const text = (value: string): Uint8Array => Buffer.from(value);

describe('the lake in a directory', () => {
  let root: string;
  let target: FileTarget;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-lake-'));
    target = new FileTarget(`file:${root}/lake`);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const read = (): string => readFileSync(join(root, 'lake', HOUR), 'utf8');

  test('creates folders, replaces whole files and leaves nothing temporary', async () => {
    await target.put(HOUR, text('one'));
    await target.put(HOUR, text('two'));
    expect(read()).toBe('two');
    expect(readdirSync(join(root, 'lake/hourly/event_date=2026-11-22/hour=01'))).toEqual(['metrics.parquet']);
    expect(await target.get(HOUR, 10)).toEqual(Buffer.from('two'));
    expect(await target.get('events/none', 10)).toBeNull();
    await expect(target.get(HOUR, 2)).rejects.toMatchObject({ code: 'SINK_REFUSED' });
  });

  test('takes the first objects of many folders at once', async () => {
    for (let round = 0; round < 40; round++) {
      const names = Array.from({ length: 4 }, (_, hour) => `round-${round}/event_date=2026-11-22/hour=0${hour}/metrics.parquet`);
      await Promise.all(names.map((name) => target.put(name, text(name))));
      for (const name of names) expect(await target.get(name, 1_000)).toEqual(text(name));
    }
  });

  test('a half-written file of a crash is never read and is overwritten by the repeat', async () => {
    mkdirSync(join(root, 'lake/events/event_date=2026-11-22'), { recursive: true });
    writeFileSync(join(root, 'lake/events/event_date=2026-11-22/.a.parquet.tmp'), 'half');
    expect(await target.list('events/event_date=2026-11-22/', 10)).toEqual([]);
    await target.put('events/event_date=2026-11-22/a.parquet', text('whole'));
    expect(readdirSync(join(root, 'lake/events/event_date=2026-11-22'))).toEqual(['a.parquet']);
  });

  test('a lower revision or generation is refused, over a restart too', async () => {
    expect(await target.putVersioned(HOUR, text('big'), version(2n ** 60n))).toBe('written');
    target = new FileTarget(`file:${root}/lake`);
    expect(await target.putVersioned(HOUR, text('less'), version(2n ** 60n - 1n))).toBe('refused');
    expect(await target.putVersioned(HOUR, text('old'), version(2n ** 61n, 0))).toBe('refused');
    expect(read()).toBe('big');
    expect(await target.putVersioned(HOUR, text('same'), version(2n ** 60n))).toBe('written');
    expect(await target.putVersioned(HOUR, text('promoted'), version(1n, 2))).toBe('written');
    expect(read()).toBe('promoted');
  });

  test('an object that was removed, or whose version is unreadable, is written whatever the version', async () => {
    await target.putVersioned(HOUR, text('9'), version(9n));
    unlinkSync(join(root, 'lake', HOUR));
    expect(await target.putVersioned(HOUR, text('3'), version(3n))).toBe('written');
    writeFileSync(join(root, `lake/millrace/versions/${HOUR}.json`), '{"generation":');
    expect(await target.putVersioned(HOUR, text('2'), version(2n))).toBe('written');
    expect(read()).toBe('2');
  });

  test('lists by prefix', async () => {
    await target.put('millrace/marker-a.json', text('{}'));
    await target.put('millrace/other.json', text('{}'));
    expect(await target.list('millrace/marker-', 10)).toEqual(['millrace/marker-a.json']);
    expect(await target.list('nowhere/x', 10)).toEqual([]);
  });

  test('a directory that cannot be made is told of, not tried for ever', async () => {
    await expect(new FileTarget('file:/proc/nowhere/lake').put(HOUR, text('x'))).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
  });

  test('a directory that is replaced by a file raises SINK_REFUSED with the fix, and works again once it is back', async () => {
    await target.put(HOUR, text('x'));
    renameSync(join(root, 'lake'), join(root, 'away'));
    writeFileSync(join(root, 'lake'), '');
    for (const call of [() => target.put(HOUR, text('y')), () => target.get(HOUR, 10), () => target.list('hourly/', 10)]) {
      await expect(call()).rejects.toMatchObject({ code: 'SINK_REFUSED', fix: expect.stringContaining('lake.url') as string });
    }
    unlinkSync(join(root, 'lake'));
    renameSync(join(root, 'away'), join(root, 'lake'));
    await target.put(HOUR, text('z'));
    expect(read()).toBe('z');
  });
});
