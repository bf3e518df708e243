/** Holds the import arrows of the layout and the one-door rule for every library, by reading the import lines. */

import { readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const FOLDERS = ['engine', 'actors', 'ingress', 'sinks'];

/** Who may import whom: the longest prefix of a file decides. `.` is the file's own area. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'engine/core': ['engine/core'],
  'engine/log': ['engine/log', 'engine/core'],
  'engine/state': ['engine/state', 'engine/core'],
  'engine/threads': ['engine/threads', 'engine/core'],
  'engine/runtime': ['engine/runtime', 'engine/core', 'engine/log', 'engine/state', 'engine/threads'],
  engine: ['engine', 'actors', 'ingress', 'sinks'],
  actors: ['actors', 'engine/core'],
  ingress: ['ingress', 'engine/core'],
  sinks: ['engine/core'],
};

/** Modules shared by all sinks; a sink may import these and its own folder, never another sink's. */
const SHARED_BY_SINKS = ['sinks/sink-writer.ts'];

/** Each library has one door: the only place that may name it. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  lmdb: ['engine/state'],
  piscina: ['engine/threads'],
  'node:worker_threads': ['engine/threads'],
  'uWebSockets.js': ['ingress/http'],
  'node:http': ['ingress/http', 'ingress/pull/download.ts'],
  'node:https': ['ingress/http', 'ingress/pull/download.ts'],
  'csv-parse': ['engine/core/csv.ts'],
  ioredis: ['sinks/redis'],
  ldapts: ['ingress/access/ldap.ts'],
  '@aws-sdk/client-s3': ['sinks/lake'],
  'parquet-wasm': ['sinks/lake'],
  'apache-arrow': ['sinks/lake'],
  msgpackr: ['engine/core/codec.ts'],
  zod: ['engine/core/schema.ts'],
  fastify: ['engine/runtime/admin-server.ts'],
  '@fastify/swagger': ['engine/runtime/admin-server.ts'],
  pino: ['engine/runtime/logger.ts'],
  'prom-client': ['engine/runtime/metrics.ts'],
  maxmind: ['engine/runtime/geo-file.ts'],
  'ua-parser-js': ['actors/appsflyer/enrich/user-agent.ts'],
  yaml: ['engine/runtime/config.ts'],
  commander: ['engine/cli.ts'],
  'cli-progress': ['engine/commands/progress.ts'],
  uplot: ['sinks/live/dashboard'],
};

/** Built-ins that reach outside the process: not for the pure core. */
const IO_MODULES = new Set(['node:fs', 'node:fs/promises', 'node:net', 'node:http', 'node:https', 'node:tls', 'node:dgram', 'node:child_process', 'node:worker_threads', 'node:cluster']);

interface Import {
  readonly file: string;
  readonly target: string;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName: target }) => {
    return { file, target: target.startsWith('.') ? relative(root, resolve(root, dirname(file), target)) : target };
  });
}

const imports = FOLDERS.flatMap(sources).flatMap(importsOf);
const within = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`);
const areaOf = (file: string): string => Object.keys(ARROWS).filter((area) => within(file, area)).sort((left, right) => right.length - left.length)[0] as string;

describe('import arrows', () => {
  it('finds the imports at all', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.some(({ target }) => target === 'engine/core/types.ts')).toBe(true);
  });

  it('lets each folder import only what the layout allows', () => {
    const forbidden = imports
      .filter(({ target }) => FOLDERS.some((folder) => within(target, folder)))
      .filter(({ file, target }) => {
        const allowed = ARROWS[areaOf(file)] as readonly string[];
        if (areaOf(file) !== 'sinks') return !allowed.some((place) => within(target, place));
        const own = file.split('/').slice(0, 2).join('/');
        return !(within(target, 'engine/core') || within(target, own) || SHARED_BY_SINKS.includes(target));
      });
    expect(forbidden).toEqual([]);
  });

  it('keeps I/O out of core, actors and pure folders', () => {
    const reaching = imports.filter(({ file, target }) => (within(file, 'engine/core') || within(file, 'actors')) && IO_MODULES.has(target) && file !== 'engine/core/disk.ts');
    expect(reaching).toEqual([]);
  });

  it('names each library at one door only', () => {
    const astray = imports
      .filter(({ target }) => !FOLDERS.some((folder) => within(target, folder)))
      .filter(({ target }) => !builtinModules.includes(target.replace(/^node:/, '')) || target in DOORS)
      .filter(({ file, target }) => {
        const library = Object.keys(DOORS).find((name) => target === name || target.startsWith(`${name}/`));
        return library === undefined || !(DOORS[library] as readonly string[]).some((door) => within(file, door));
      });
    expect(astray).toEqual([]);
  });
});
