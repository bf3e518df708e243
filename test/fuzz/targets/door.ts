/**
 * The door: byte search against full parse, bodies of many records against their records sent alone, forms against a plain reading (not URLSearchParams: Node's misreads a broken escape behind a wide character).
 *
 * The reference of the partition shares nothing with the partitioner but the hash and the list of placeholders: it parses the text again with every number quoted, so
 * that numbers keep their own characters.
 */

import { isUtf8 } from 'node:buffer';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { hash32 } from '../../../engine/core/hash.ts';
import { createPartitioner, type Partitioner } from '../../../engine/core/partition-key.ts';
import { RecordFlag } from '../../../engine/core/record.ts';
import { FORM_PAIRS_MAX, formToJson } from '../../../ingress/http/form.ts';
import { splitRecords } from '../../../ingress/http/split.ts';
import { embed, Random } from '../json-bytes.ts';
import { messageBytes } from '../mutate-json.ts';
import { type FuzzTarget, require, requireEqual } from '../target.ts';

const PARTITIONS = 65_521;
const RECORDS_MAX = 50;
const spec = appsflyerPipeline.partitionKey;

/** Each string or number of a valid JSON text. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
export const quoteNumbers = (text: string): string => text.replace(STRING_OR_NUMBER, (token) => (token.startsWith('"') ? token : JSON.stringify(token)));

const hashOf = (text: string, seed: number): number => {
  const bytes = Buffer.from(text);
  return hash32(bytes, 0, bytes.byteLength, seed);
};

const textOf = (body: Record<string, unknown>, key: string): string => {
  const value = Object.hasOwn(body, key) ? body[key] : null;
  return typeof value === 'string' ? value : typeof value === 'boolean' ? String(value) : '';
};

/** The user in parameters, as a plain reading has it: numbers are quoted, so that they keep their digits. */
function hiddenUser(value: unknown): string {
  let parameters: unknown = value;
  for (let encodings = 0; encodings < 3 && typeof parameters === 'string'; encodings++) {
    try {
      JSON.parse(parameters);
      parameters = JSON.parse(quoteNumbers(parameters)) as unknown;
    } catch {
      return '';
    }
  }
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) return '';
  const holders = [parameters, (parameters as Record<string, unknown>)['params']].filter((each) => typeof each === 'object' && each !== null && !Array.isArray(each)) as Record<string, unknown>[];
  for (const holder of holders) {
    for (const name of ['customer_user_id', 'user_id', 'userId']) {
      const user = Object.hasOwn(holder, name) ? holder[name] : '';
      if (typeof user === 'string' && !spec.isPlaceholder(user)) return user;
    }
  }
  return '';
}

interface Place {
  readonly partition: number;
  readonly flags: number;
}

export function expectedPlace(bytes: Buffer): Place {
  const byContent = hash32(bytes, 0, bytes.byteLength, 0) % PARTITIONS;
  let parsed: unknown;
  try {
    if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8');
    parsed = JSON.parse(bytes.toString());
  } catch {
    return { partition: byContent, flags: RecordFlag.malformed };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return { partition: byContent, flags: RecordFlag.notObject };
  const body = JSON.parse(quoteNumbers(bytes.toString())) as Record<string, unknown>;
  const scope = textOf(body, spec.scope);
  const named = spec.users.map((key) => textOf(body, key)).find((value) => value !== '' && !spec.isPlaceholder(value));
  const user = named ?? ['event_value', 'eventValue'].map((key) => hiddenUser(body[key])).find((value) => value !== '');
  if (scope === '' || user === undefined) return { partition: byContent, flags: RecordFlag.none };
  return { partition: hashOf(user, hashOf(scope, 0)) % PARTITIONS, flags: RecordFlag.none };
}

const seedOf = (input: Buffer): number => hash32(input, 0, input.byteLength, 1);

/** `partitioner`: for planted bugs, one that does wrong. */
export function partitionTarget(partitioner: Partitioner = createPartitioner(spec, PARTITIONS)): FuzzTarget {
  return {
    name: 'partition-key',
    generate: messageBytes,
    check(input) {
      const { bytes, start, end } = embed(input, new Random(seedOf(input)));
      partitioner.locate(bytes, start, end);
      const found = { partition: partitioner.partition as number, flags: partitioner.flags };
      const wanted = expectedPlace(input);
      // A body that is no JSON may pass the byte search: the door cannot tell, and any partition will do.
      if (wanted.flags === RecordFlag.malformed && found.flags === RecordFlag.none) return;
      requireEqual(found, wanted, 'byte search against full parse');
    },
  };
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
/** Blanks are JSON's four: `trim` would take others as well. */
const trimmed = (text: string): string => text.replace(/^[ \n\r\t]+|[ \n\r\t]+$/g, '');

function recordsOf(bytes: Buffer, start: number, end: number, lines: boolean, split: typeof splitRecords): Buffer[] | null {
  const spans = split(bytes, start, end, RECORDS_MAX, lines);
  if (spans === null) return null;
  const records: Buffer[] = [];
  let before = start;
  for (let index = 0; index < spans.count; index++) {
    const [from, to] = [spans.start(index), spans.end(index)];
    require(from >= before && to > from && to <= end, `record ${index} lies at ${from} to ${to}, after ${before}`);
    require(!isBlank(bytes[from]) && !isBlank(bytes[to - 1]), `record ${index} begins or ends with a blank`);
    for (let at = before; at < from; at++) require(isBlank(bytes[at]) || '[],\u00ef\u00bb\u00bf'.includes(String.fromCharCode(bytes[at] as number)), `byte ${at - start} lies in no record`);
    records.push(bytes.subarray(from, to));
    before = to;
  }
  return records;
}

/** What JSON.parse and lines say the records are; null where neither can tell. */
function expectedRecords(text: string, lines: boolean): { readonly texts?: string[]; readonly values?: unknown[] } | null {
  const body = text.replace(/^\u00ef\u00bb\u00bf/, '');
  if (!lines && trimmed(body).startsWith('[')) {
    try {
      return { values: JSON.parse(Buffer.from(body, 'latin1').toString()) as unknown[] };
    } catch {
      return null;
    }
  }
  return { texts: body.split('\n').map(trimmed).filter((line) => line !== '') };
}

function body(random: Random): Buffer {
  const count = random.below(8);
  const records = Array.from({ length: count }, () => messageBytes(random));
  const shape = random.below(4);
  const separator = Buffer.from(shape < 2 ? random.pick(['\n', '\r\n', '\n\n', ' \n\t']) : random.pick([',', ' , ', ',\n', ',,']));
  const joined = records.flatMap((record, index) => (index === 0 ? [record] : [separator, record]));
  const [open, close] = shape < 2 ? ['', random.pick(['', '\n'])] : [random.pick(['[', ' [', '\ufeff[']), random.pick([']', ']\n', '] x', ']\n{}', '', ',]'])];
  return Buffer.concat([Buffer.from(open), ...joined, Buffer.from(close)]);
}

export function splitTarget(split: typeof splitRecords = splitRecords): FuzzTarget {
  const inside = createPartitioner(spec, PARTITIONS);
  const alone = createPartitioner(spec, PARTITIONS);
  return {
    name: 'split',
    generate: body,
    check(input) {
      const { bytes, start, end } = embed(input, new Random(seedOf(input)));
      for (const lines of [false, true]) {
        const records = recordsOf(bytes, start, end, lines, split);
        const wanted = expectedRecords(input.toString('latin1'), lines);
        if (records === null) {
          require(wanted === null || (wanted.texts ?? wanted.values ?? []).length > RECORDS_MAX, 'refused for too many records');
          continue;
        }
        if (wanted?.texts !== undefined) requireEqual(records.map((record) => record.toString('latin1')), wanted.texts, 'lines');
        if (wanted?.values !== undefined && isUtf8(input)) requireEqual(records.map((record) => JSON.parse(record.toString()) as unknown), wanted.values, 'elements');
        for (const record of records) {
          const from = record.byteOffset - bytes.byteOffset;
          inside.locate(bytes, from, from + record.byteLength);
          const copy = Buffer.from(record);
          alone.locate(copy, 0, copy.byteLength);
          requireEqual([inside.partition, inside.flags], [alone.partition, alone.flags], 'a record among others against the same one alone');
        }
      }
    },
  };
}

const FORM_PIECES = ['app_id', 'appsflyer_id', '=', '=', '&', '&', '&&', '%', '%4', '%41', '%zz', '%E6%9D%B1', '%ff', '%C3', '%22', '%5C', '+', 'é', '東', '\u0000', '%00', '__proto__', 'constructor', '1', 'u-1', '?', '#', ';', '"', '\\', '\ufeff', '%EF%BB%BF', ' '];

/** The rules of application/x-www-form-urlencoded, a byte at a time. */
function plainPairs(text: string): [key: string, value: string][] {
  const plain = (part: string): string => {
    const bytes = Buffer.from(part.replaceAll('+', ' ')).toString('latin1').replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'));
  };
  const parts = text.split('&').filter((part) => part !== '');
  return parts.map((part) => (part.includes('=') ? [plain(part.slice(0, part.indexOf('='))), plain(part.slice(part.indexOf('=') + 1))] : [plain(part), '']));
}

export function formTarget(toJson: typeof formToJson = formToJson): FuzzTarget {
  return {
    name: 'form',
    generate: (random) => Buffer.from(Array.from({ length: random.below(24) }, () => random.pick(FORM_PIECES)).join('')),
    check(input) {
      const text = input.toString();
      const pairs = plainPairs(text);
      const json = toJson(text);
      if (json === null) {
        require(pairs.length > FORM_PAIRS_MAX, 'refused for too many pairs');
        return;
      }
      const found = JSON.parse(json.toString()) as Record<string, unknown>;
      requireEqual(Object.entries(found), Object.entries(Object.fromEntries(pairs)), 'a form against a plain reading');
      partitionOfForm(json);
    },
  };
}

const located = createPartitioner(spec, PARTITIONS);

/** Of the object that a form stands for, the door and the reference must say the same. */
function partitionOfForm(json: Buffer): void {
  located.locate(json, 0, json.byteLength);
  requireEqual({ partition: located.partition, flags: located.flags }, expectedPlace(json), 'partition of a form');
}
