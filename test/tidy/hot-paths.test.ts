/** Holds every file on the hot path to its header: how often it runs, what one run may cost, and the bench that tells. */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const FOLDERS = ['engine', 'actors', 'ingress', 'sinks'];

/** In a comment, whatever follows: what says so must say all of it. */
const MARK = /^\s*(?:\*|\/\/|\/\*\*).*\bHot(?: path)?\b/m;
const RATE = /Hot path: [\d.,]+ ?[KM]? [a-z][a-z -]* a second, /;
const BUDGET = /, at most [\d.]+ (?:ns|µs) an? [a-z-]+/;
const BENCH = /bench\/[\w./-]+\.ts/g;

/** Files that an event, or a changed cell, passes on its way: they are marked. */
const ON_THE_WAY = [
  'ingress/http/uws.ts', 'ingress/http/exchange.ts', 'ingress/http/take.ts', 'ingress/batcher.ts', 'engine/core/key-search.ts', 'engine/core/partition-key.ts', 'engine/core/hash.ts',
  'engine/log/batch-builder.ts', 'engine/log/journal-writer.ts', 'engine/log/journal-reader.ts', 'engine/log/journal-batch.ts', 'engine/runtime/actor-loop.ts',
  'actors/appsflyer/decode.ts', 'actors/appsflyer/scan/scanner.ts', 'actors/partition/partition.ts', 'actors/partition/judge.ts', 'actors/partition/dedupe.ts', 'actors/partition/dedupe-table.ts',
  'actors/partition/cell-counter.ts', 'actors/partition/cell-table.ts', 'actors/partition/series-table.ts', 'actors/partition/cell-slots.ts', 'actors/partition/value-table.ts', 'actors/merge/merge.ts', 'actors/merge/entry.ts', 'sinks/redis/encode.ts', 'sinks/lake/encode-slot.ts', 'sinks/lake/column-builder.ts',
];

/** The comment that a file opens with, in one line. */
const headerOf = (text: string): string => (/^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '').replace(/\s*\n\s*\*\s?/g, ' ').trim();

/** What is missing in the header of a file that says it is hot; none of a file that does not. */
function missingIn(text: string, exists: (path: string) => boolean): string[] {
  if (!MARK.test(text)) return [];
  const header = headerOf(text);
  const benches = header.match(BENCH) ?? [];
  return [
    ...(RATE.test(header) ? [] : ['its rate']),
    ...(BUDGET.test(header) ? [] : ['its budget in ns or µs']),
    ...(benches.length > 0 ? [] : ['its bench']),
    ...benches.filter((bench) => !exists(bench)).map((bench) => `${bench}, which does not exist`),
  ];
}

const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name))),
).map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

describe('files on the hot path', () => {
  it('open with their rate, their budget and a bench that exists', () => {
    const missing = sources.flatMap(({ file, text }) => missingIn(text, (path) => existsSync(join(root, path))).map((what) => `${file}: ${what}`));
    expect(missing).toEqual([]);
  });

  it('are marked, all that an event passes', () => {
    const marked = new Set(sources.filter(({ text }) => MARK.test(text)).map(({ file }) => file));
    expect(ON_THE_WAY.filter((file) => !marked.has(file))).toEqual([]);
  });

  it('are found out when they lack one of the three, or say it beside the header', () => {
    const exists = (path: string): boolean => path === 'bench/micro/journal.ts';
    const whole = '/**\n * Reads.\n *\n * Hot path: 1 M records a second,\n * at most 700 ns a record; bench/micro/journal.ts.\n */\n';
    expect(missingIn(whole, exists)).toEqual([]);
    expect(missingIn('/** Reads. */\nconst hot = 1;\n', exists)).toEqual([]);
    expect(missingIn(whole.replace('1 M records a second', 'once per record'), exists)).toEqual(['its rate']);
    expect(missingIn(whole.replace('700 ns a record', '700'), exists)).toEqual(['its budget in ns or µs']);
    expect(missingIn(whole.replace('; bench/micro/journal.ts', ''), exists)).toEqual(['its bench']);
    expect(missingIn(whole.replace('journal', 'diary'), exists)).toEqual(['bench/micro/diary.ts, which does not exist']);
    expect(missingIn('/** Reads. */\n/** Hot path: once per record. */\nclass Reader {}\n', exists)).toEqual(['its rate', 'its budget in ns or µs', 'its bench']);
  });
});
