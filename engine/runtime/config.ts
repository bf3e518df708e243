/**
 * Loads settings from `millrace.yaml` and `MILLRACE_*` under one schema. The environment wins over the file.
 *
 * A setting's variable is its key path in upper snake case: `lake.slot_minutes` is `MILLRACE_LAKE_SLOT_MINUTES`. Unknown keys and
 * variables are refused; every problem names the key, the value and the fix, and all of them are told at once.
 * The only door to the yaml package.
 */

import { existsSync, readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { EngineError, messageOf } from '../core/errors.ts';
import { z } from '../core/schema.ts';

const PREFIX = 'MILLRACE_';
/** Variables that steer the program around the settings rather than being one. */
const RESERVED = new Set(['MILLRACE_CONFIG']);
const FILE_BYTES_MAX = 1024 * 1024;

type Tree = { [key: string]: unknown };

/** One setting: where it is, and how the environment names it. */
export interface SettingPath {
  readonly path: readonly string[];
  readonly variable: string;
}

/** Every leaf of an object schema, in order. */
export function settingPaths(schema: z.ZodType, path: readonly string[] = []): SettingPath[] {
  const shape = shapeOf(schema);
  if (shape === null) return [{ path, variable: PREFIX + path.join('_').toUpperCase() }];
  return Object.entries(shape).flatMap(([key, inner]) => settingPaths(inner, [...path, key]));
}

/** Raises CONFIG_INVALID with one line per problem. */
export function loadConfig<Schema extends z.ZodType>(schema: Schema, source: { readonly file: string | null; readonly env: NodeJS.ProcessEnv }): z.output<Schema> {
  const tree = source.file === null ? {} : readFile(source.file);
  const problems = applyEnvironment(schema, tree, source.env);
  const parsed = schema.safeParse(tree);
  if (!parsed.success) {
    const paths = settingPaths(schema);
    for (const issue of parsed.error.issues) problems.push(describe(issue, tree, paths));
  }
  if (problems.length > 0 || !parsed.success) {
    throw new EngineError('CONFIG_INVALID', problems.join('\n'), { where: { file: source.file ?? 'environment' } });
  }
  return parsed.data;
}

/** The file to read: the one named, else `millrace.yaml` in the working directory when it is there. */
export function configFile(named: string | undefined): string | null {
  if (named !== undefined) {
    if (!existsSync(named)) throw new EngineError('CONFIG_INVALID', `the configuration file ${named} does not exist: name another with --config or MILLRACE_CONFIG`);
    return named;
  }
  return existsSync('millrace.yaml') ? 'millrace.yaml' : null;
}

function readFile(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${file} cannot be read (${messageOf(error)}): check its path and permissions`);
  }
  if (text.length > FILE_BYTES_MAX) throw new EngineError('CONFIG_INVALID', `${file} is larger than ${FILE_BYTES_MAX} bytes: this is no configuration file`);
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) throw new EngineError('CONFIG_INVALID', `${file} is no valid YAML: ${document.errors.map((error) => error.message).join('; ')}`);
  const value = document.toJS({ maxAliasCount: 10 }) as unknown;
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new EngineError('CONFIG_INVALID', `${file} must hold a mapping of settings, such as "ingest:\\n  port: 8080"`);
  return value as Tree;
}

function applyEnvironment(schema: z.ZodType, tree: Tree, env: NodeJS.ProcessEnv): string[] {
  const byVariable = new Map(settingPaths(schema).map((setting) => [setting.variable, setting.path]));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || RESERVED.has(name) || value === undefined) continue;
    const path = byVariable.get(name);
    if (path === undefined) {
      problems.push(`${name}=${value}: no such setting: remove it${suggestion(name, [...byVariable.keys()])}`);
      continue;
    }
    put(tree, path, isList(schema, path) ? value.split(',').map((item) => item.trim()).filter((item) => item !== '') : value);
  }
  return problems;
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  let at = tree;
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {};
    at = at[key] as Tree;
  }
  at[path.at(-1) as string] = value;
}

function describe(issue: z.core.$ZodIssue, tree: Tree, paths: readonly SettingPath[]): string {
  const key = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = paths.map((setting) => setting.path.join('.'));
    return issue.keys
      .map((name) => {
        const full = key === '' ? name : `${key}.${name}`;
        return `${full}: no such setting: remove it${suggestion(full, known)}`;
      })
      .join('\n');
  }
  const value = issue.path.reduce<unknown>((at, step) => (typeof at === 'object' && at !== null ? (at as Tree)[String(step)] : undefined), tree);
  const variable = paths.find((setting) => setting.path.join('.') === key)?.variable;
  const fix = variable === undefined ? '' : ` (set ${key} in millrace.yaml or ${variable})`;
  return `${key === '' ? 'the configuration' : key}: ${value === undefined ? 'missing' : JSON.stringify(value)}: ${issue.message}${fix}`;
}

function suggestion(name: string, known: readonly string[]): string {
  let best = '';
  let bestDistance = Math.max(3, Math.floor(name.length / 4));
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === '' ? '' : `, or write ${best}`;
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[right.length] as number;
}

function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | null {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? (inner.shape as Record<string, z.ZodType>) : null;
}

function isList(schema: z.ZodType, path: readonly string[]): boolean {
  let at = schema;
  for (const key of path) at = shapeOf(at)?.[key] as z.ZodType;
  return unwrap(at) instanceof z.ZodArray;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (at instanceof z.ZodDefault || at instanceof z.ZodPrefault || at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap() as z.ZodType;
  return at;
}
