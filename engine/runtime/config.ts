/**
 * Loads settings from `millrace.yaml` and `MILLRACE_*` under one schema. The environment wins over the file.
 *
 * A setting's variable is its key path in upper snake case: `lake.slot_minutes` is `MILLRACE_LAKE_SLOT_MINUTES`. What is left empty, in
 * the file or in a variable, is not set. Unknown keys and variables are refused; every problem names the key, the value and the fix, and
 * all of them are told at once. What may hold a secret is never printed, not even out of a file that cannot be read as YAML.
 * The only door to the yaml package.
 */

import { existsSync, readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { EngineError, messageOf } from '../core/errors.ts';
import { z } from '../core/schema.ts';

const PREFIX = 'MILLRACE_';
/** Variables that steer the program around the settings rather than being one. */
const RESERVED = new Set(['MILLRACE_CONFIG', 'MILLRACE_STALLS_BEFORE', 'MILLRACE_ADMIN_TOKEN']);
const FILE_BYTES_MAX = 1024 * 1024;
/** Values of these settings are never shown; neither is any value with user:password@ or a query in it. */
const SECRET_KEY = /password|secret|token|^redis\.url$/;
const SECRET_TEXT = /[@?]/;
const SHOWN_CHARACTERS_MAX = 200;
/** Kubernetes tells every pod of every service by variables such as MILLRACE_PORT=tcp://10.0.0.1:8080. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//;

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

/** Reads the file, if there is one. Raises CONFIG_INVALID with one line per problem. */
export const loadConfig = <Schema extends z.ZodType>(schema: Schema, source: { readonly file: string | null; readonly env: NodeJS.ProcessEnv }): z.output<Schema> =>
  parseConfig(schema, { ...source, text: source.file === null ? '' : readText(source.file) });

/** The same for a file that has been read: `file` is its name in messages. */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, source: { readonly file: string | null; readonly text: string; readonly env: NodeJS.ProcessEnv }): z.output<Schema> {
  const tree = source.file === null ? {} : treeOf(source.file, source.text);
  const problems = applyEnvironment(schema, tree, source.env);
  const parsed = schema.safeParse(tree);
  if (!parsed.success) {
    const paths = settingPaths(schema);
    // One problem a key: what a refinement says of a value that is missing or of another type adds nothing.
    const told = new Set<string>();
    for (const issue of parsed.error.issues) {
      const key = issue.path.join('.');
      if (!told.has(key) || issue.code === 'unrecognized_keys') problems.push(describe(issue, tree, paths));
      if (issue.code !== 'unrecognized_keys') told.add(key);
    }
  }
  if (problems.length > 0 || !parsed.success) {
    throw new EngineError('CONFIG_INVALID', problems.join('\n'), { where: { file: source.file ?? 'environment' } });
  }
  return parsed.data;
}

/** The sections of a file that are there, each with the names of what is set in it. */
export const namesIn = (file: string): (readonly [section: string, names: readonly string[]])[] =>
  Object.entries(treeOf(file, readText(file))).map(([section, value]) => [section, isTree(value) ? Object.keys(value) : []] as const);

/** The file to read: the one named, else `millrace.yaml` in the working directory when it is there. */
export function configFile(named: string | undefined): string | null {
  if (named !== undefined) {
    if (!existsSync(named)) throw new EngineError('CONFIG_INVALID', `the configuration file ${named} does not exist: name another with --config or MILLRACE_CONFIG`);
    return named;
  }
  return existsSync('millrace.yaml') ? 'millrace.yaml' : null;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new EngineError('CONFIG_INVALID', `${file} cannot be read (${messageOf(error)}): check its path and permissions`);
  }
}

function treeOf(file: string, text: string): Tree {
  if (text.length > FILE_BYTES_MAX) throw new EngineError('CONFIG_INVALID', `${file} is larger than ${FILE_BYTES_MAX} bytes: this is no configuration file`);
  const value = parseYaml(file, text);
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new EngineError('CONFIG_INVALID', `${file} must hold a mapping of settings, such as "ingest:\\n  port: 8080"`);
  return withoutEmpty(value as Tree);
}

/** Problems are told by line, never with the text of the line: it may hold a password. */
function parseYaml(file: string, text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: false, lineCounter: lines, logLevel: 'error' });
  if (document.errors.length > 0) {
    const told = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return `line ${line}, column ${col}: ${error.message.replace(/(?<=\S): .*$|\\.*$/s, '')}`;
    });
    throw new EngineError('CONFIG_INVALID', `${file} is no valid YAML: ${told.join('; ')}: mend it; values with special characters go in single quotes`);
  }
  try {
    return document.toJS({ maxAliasCount: 10 }) as unknown;
  } catch {
    throw new EngineError('CONFIG_INVALID', `${file} has an alias (*name) without its anchor, or too many of them: write the values out, a * at the beginning of a value in quotes`);
  }
}

/** A section or setting with nothing behind its colon is not set: `ingest:` with every line under it commented out. */
function withoutEmpty(tree: Tree): Tree {
  const kept = Object.entries(tree).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([key, value]) => [key, isTree(value) ? withoutEmpty(value) : value]));
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

function applyEnvironment(schema: z.ZodType, tree: Tree, env: NodeJS.ProcessEnv): string[] {
  const byVariable = new Map(settingPaths(schema).map((setting) => [setting.variable, setting.path]));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || RESERVED.has(name)) continue;
    const path = byVariable.get(name);
    if (path === undefined) {
      problems.push(`${name}: no such setting: remove it${suggestion(name, [...byVariable.keys()])}${serviceLinkFix(value)}`);
      continue;
    }
    if (value !== undefined && value.trim() !== '') put(tree, path, fromText(schemaAt(schema, path), value));
  }
  return problems;
}

/** A list is written `a,b`, a mapping `a=1,b=2`; everything else is left to the schema. */
function fromText(schema: z.ZodType, text: string): unknown {
  const items = (): string[] => text.split(',').map((item) => item.trim()).filter((item) => item !== '');
  if (schema instanceof z.ZodArray) return items();
  if (!(schema instanceof z.ZodRecord)) return text;
  const pairs = items().map((item) => item.split('='));
  return pairs.every((pair) => pair.length === 2) ? Object.fromEntries(pairs as [string, string][]) : text;
}

/** Where the file has something else in the place of a section, that is left for the schema to refuse. */
function put(tree: Tree, path: readonly string[], value: unknown): void {
  let at = tree;
  for (const key of path.slice(0, -1)) {
    at[key] ??= {};
    const next = at[key];
    if (!isTree(next)) return;
    at = next;
  }
  at[path.at(-1) as string] = value;
}

function describe(issue: z.core.$ZodIssue, tree: Tree, paths: readonly SettingPath[]): string {
  const key = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = [...new Set(paths.flatMap(({ path }) => path.map((_, index) => path.slice(0, index + 1).join('.'))))];
    return issue.keys
      .map((name) => {
        const full = key === '' ? name : `${key}.${name}`;
        return `${readable(full)}: no such setting: remove it${suggestion(full, known)}`;
      })
      .join('\n');
  }
  const value = issue.path.reduce<unknown>((at, step) => (typeof at === 'object' && at !== null ? (at as Tree)[String(step)] : undefined), tree);
  const variable = paths.find((setting) => setting.path.join('.') === key)?.variable;
  const inside = paths.find((setting) => setting.path.join('.').startsWith(`${key}.`))?.path.slice(issue.path.length).join('.');
  // An entry of a mapping has no variable of its own: the mapping has.
  const around = paths.find((setting) => key.startsWith(`${setting.path.join('.')}.`));
  const named = variable !== undefined ? { key, variable } : around === undefined ? null : { key: around.path.join('.'), variable: around.variable };
  const fix = named !== null ? ` (set ${named.key} in millrace.yaml or ${named.variable})` : inside === undefined ? '' : `: write its settings below it, such as ${inside}`;
  if (value === undefined) return `${key}: missing${fix}`;
  const quotes = issue.code === 'invalid_type' && issue.expected === 'string' && typeof value !== 'object' ? ': write it in quotes' : '';
  const message = `${issue.message.replace(/\/\/\S*@/g, '//***@')}${quotes}`;
  return `${key === '' ? 'the configuration' : readable(key)}: ${shown(key, value, paths)}: ${message}${fix}${serviceLinkFix(value)}`;
}

/** Of a name that may hold anything: on one line, and with nothing that a terminal would not show. */
function readable(name: string): string {
  if (/^[\w.-]+$/.test(name)) return name;
  return cut(JSON.stringify(name).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));
}

const cut = (text: string): string => (text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text);

const serviceLinkFix = (value: unknown): string =>
  typeof value === 'string' && SERVICE_LINK.test(value) ? '; Kubernetes has set it for a service of this name: set enableServiceLinks: false in the pod' : '';

/** A value as the reader may see it; a section is as secret as what may stand in it. */
function shown(key: string, value: unknown, paths: readonly SettingPath[]): string {
  const text = JSON.stringify(value);
  const names = [key, ...paths.map((setting) => setting.path.join('.')).filter((name) => key === '' || name.startsWith(`${key}.`))];
  if (SECRET_TEXT.test(text) || names.some((name) => SECRET_KEY.test(name))) return '(not shown)';
  return cut(text);
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
  return inner instanceof z.ZodObject ? inner.shape : null;
}

function schemaAt(schema: z.ZodType, path: readonly string[]): z.ZodType {
  let at = schema;
  for (const key of path) at = shapeOf(at)?.[key] as z.ZodType;
  return unwrap(at);
}

function unwrap(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (at instanceof z.ZodDefault || at instanceof z.ZodPrefault || at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap() as z.ZodType;
  return at;
}
