import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COST_CODES } from '../../../actors/costs/index.ts';
import { REJECT_CODES } from '../../../engine/core/record.ts';
import { settingPaths } from '../../../engine/runtime/config.ts';
import { settingsSchema } from '../../../engine/settings.ts';

const root = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');
const readme = read('README.md');
const settingsPage = read('engine/settings.md');
/** First and second column of every table row that begins with a name in backticks. */
const rows = new Map([...settingsPage.matchAll(/^\| `([a-z_0-9.]+)` \| ([^|]*?) \|/gm)].map((match) => [match[1] as string, match[2] as string]));

const withoutRedis = settingsSchema.parse({}) as Record<string, unknown>;
const withRedis = settingsSchema.parse({ redis: { url: 'redis://h' } }) as Record<string, unknown>;

function defaultOf(path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], path[0] === 'redis' ? withRedis : withoutRedis);
}

/** As the table writes a default; sizes have a reading aid behind the number. */
function written(value: unknown): string {
  if (Array.isArray(value) && value.length > 0) return value.map((item) => `\`${String(item)}\``).join(', ');
  if (value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return 'empty';
  return typeof value === 'string' ? `\`${value}\`` : String(value);
}

describe('the table of settings', () => {
  const settings = settingPaths(settingsSchema).map((setting) => setting.path);

  it('has a row for each setting and for nothing else', () => {
    const sections = new Set(settings.map((path) => path[0]));
    const told = [...rows.keys()].filter((name) => sections.has(name.split('.')[0] as string));
    expect(told).toEqual(settings.map((path) => path.join('.')));
  });

  it('tells the default of each', () => {
    const wrong = settings
      .filter((path) => path.join('.') !== 'redis.url')
      .filter((path) => rows.get(path.join('.'))?.replace(/ \([\d.]+ [KMG]iB\)$/, '') !== written(defaultOf(path)))
      .map((path) => `${path.join('.')}: ${rows.get(path.join('.')) ?? 'no row'} and not ${written(defaultOf(path))}`);
    expect(wrong).toEqual([]);
  });

  it('reads sizes right', () => {
    const sizes = [...settingsPage.matchAll(/^\| `[a-z_.]+` \| (\d+) \((\d+) ([KMG])iB\) \|/gm)];
    expect(sizes.length).toBeGreaterThan(5);
    for (const [, bytes, count, unit] of sizes) expect(Number(count) * 1024 ** (1 + 'KMG'.indexOf(unit as string))).toBe(Number(bytes));
  });
});

describe('the manual', () => {
  it('names only metrics that exist', () => {
    const source = read('engine/daemon-metrics.ts') + read('engine/runtime/metrics.ts');
    const named = new Set([...readme.matchAll(/`(millrace_[a-z_]+)/g)].map((match) => match[1] as string));
    expect(named.size).toBeGreaterThan(10);
    expect([...named].filter((name) => !source.includes(`'${name}'`))).toEqual([]);
  });

  it('shows every command with its options as they are', () => {
    const source = read('engine/cli.ts');
    const commands = [...source.matchAll(/\.command\('([a-z]+)/g)].map((match) => match[1] as string);
    expect(commands.length).toBeGreaterThan(6);
    expect(commands.filter((command) => !new RegExp(`\`millrace (savepoint |dlq |costs |connect |replay )?${command}\\b`).test(readme))).toEqual([]);
    const table = readme.slice(readme.indexOf('## Command line'), readme.indexOf('Exit codes and error codes'));
    const options = [...table.matchAll(/--[a-z][a-z-]*/g)].map((match) => match[0]).filter((option) => option !== '--help');
    expect(options.filter((option) => !source.includes(option))).toEqual([]);
  });

  it('names every reason for which a record is rejected', () => {
    expect(REJECT_CODES.filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
  });

  it('names every reason for which a row of spend is rejected', () => {
    expect(Object.keys(COST_CODES).filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
  });

  it('links to files that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1] as string);
    expect(links.length).toBeGreaterThan(2);
    for (const link of links) expect(() => read(link)).not.toThrow();
  });

  it('does not name environment variables that are refused', () => {
    const variables = new Set([...settingPaths(settingsSchema).map((setting) => setting.variable), 'MILLRACE_CONFIG', 'MILLRACE_ADMIN_TOKEN']);
    expect([...readme.matchAll(/MILLRACE_[A-Z_0-9]+/g)].map((match) => match[0]).filter((name) => !variables.has(name))).toEqual([]);
  });

  it('is of a size that is read', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(480);
  });
});
