/**
 * The configuration as bytes: a file, and after each NUL a variable of the environment. It is taken, or refused with CONFIG_INVALID, line by line:
 * which key, variable or place, what stands there, how to mend it; and no secret is shown.
 */

import { EngineError } from '../../../engine/core/errors.ts';
import { parseConfig, settingPaths } from '../../../engine/runtime/config.ts';
import { settingsSchema } from '../../../engine/settings.ts';
import type { Random } from '../json-bytes.ts';
import { type FuzzTarget, require } from '../target.ts';

const FILE = 'millrace.yaml';
const SECRET = 'hunter2hunter2';
export const URL_WITH_SECRET = `redis://u:${SECRET}@h:1`;
const PATHS = settingPaths(settingsSchema);
const VALUES = ['8080', '-1', '1e9', 'true', 'null', '~', '""', '[]', '{}', '[a, b]', '{a: 1}', '&a x', '*a', '*none', '!!js/function x', '"', "'", '|', '2026-11-22', 'a,b', '99999999999999999999', '0x10', '.inf', URL_WITH_SECRET, 's3://bucket/prefix', 'file:./lake', '\u0000', '\ufeff', '- 1', '? x', '%TAG'];
const SPOILS = ['\n', '\t', ':', ' #', '---\n', '...\n', '<<: *a\n', '{', ']', '\u2028', '\u0007', 'ingest:\n'];

function make(random: Random): Buffer {
  const lines: string[] = [];
  for (let count = random.below(6); count > 0; count--) {
    const { path } = random.pick(PATHS);
    path.forEach((part, depth) => lines.push(`${'  '.repeat(depth)}${random.below(30) === 0 ? `${part}x` : part}:${depth === path.length - 1 ? ` ${random.pick(VALUES)}` : ''}`));
  }
  let file = lines.join('\n');
  for (let count = random.below(3); count > 0; count--) {
    const at = random.below(file.length + 1);
    file = file.slice(0, at) + random.pick(SPOILS) + file.slice(at + random.below(4));
  }
  const variables = Array.from({ length: random.below(3) }, () => `\0${random.below(10) === 0 ? 'MILLRACE_NONE' : random.pick(PATHS).variable}=${random.pick(VALUES).replaceAll('\0', '')}`);
  return Buffer.from(file.replaceAll('\0', ' ') + variables.join(''));
}

/** What a line of the message may begin with: a key or a section, a variable, the file. */
const isNamed = (line: string): boolean => /^([\w.-]+|the configuration|"(?:[^"\\]|\\.)*("|…)): ./.test(line) || line.startsWith(FILE);
const saysHow = (line: string): boolean => /set |remove |write |mend |must hold|no configuration file/.test(line);

/** Raises unless it is taken, or refused as it must be. */
export function settingsOrRefusal(text: string, env: Readonly<Record<string, string>>, parse: typeof parseConfig = parseConfig): 'settings' | 'refused' {
  try {
    parse(settingsSchema, { file: FILE, text, env });
    return 'settings';
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'CONFIG_INVALID') throw error;
    // Torn out of its address nobody can know it for one.
    const given = [text, ...Object.values(env)].join('\n').replaceAll(URL_WITH_SECRET, '');
    require(!error.message.includes(SECRET) || given.includes(SECRET), 'a secret is shown');
    for (const line of error.message.split('\n')) require(isNamed(line) && saysHow(line), `this line does not say what, or how to mend it: ${JSON.stringify(line)}`);
    return 'refused';
  }
}

export function configurationTarget(parse: typeof parseConfig = parseConfig): FuzzTarget {
  return {
    name: 'configuration',
    generate: make,
    check(input) {
      const [text = '', ...variables] = input.toString('utf8').split('\0');
      const env = Object.fromEntries(variables.map((pair) => [pair.slice(0, Math.max(0, pair.indexOf('='))), pair.slice(pair.indexOf('=') + 1)]));
      settingsOrRefusal(text, env, parse);
    },
  };
}
