/**
 * Hostile bytes for the decoders: a seeded generator, realistic messages, mutations of them, and a table of awkward cases.
 */

import { ORGANIC_INSTALL, PURCHASE, S2S_PURCHASE, SKAN_INSTALL, V1_PURCHASE } from '../unit/appsflyer/messages.ts';

/** A small seeded generator (mulberry32), so that a failure can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** Whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}

/** Pieces that matter to JSON or to the decoders; mutations insert them. */
const PIECES = [
  '"app_id"', '"appsflyer_id"', '"app_id":"x"', '"appsflyer_id":"u"', ',"app_id":"y"', ',"appsflyer_id":null', ',"app\\u005fid":"z"', '{"app_id":"inner"}',
  ',"customer_user_id":"c"', ',"idfa":""', '\\"app_id\\":\\"q\\"', '{', '}', '[', ']', ',', ':', '"', '\\', '\\\\', '\\"', '\\u00', '\\u0041', '\\ud83d', '\\ude00', '\\/',
  ' ', '\n', '\t', '\r', '\u000b', '\u0000', '\u001f', '\u007f', '\u00e9', '\u6771', '\ud83d\ude80', '\ufeff', '\u2028', 'null', 'true', 'false', 'NaN', '-', '0', '-0', '01', '1e5', '1E+2',
  '1.', '.5', '1.50', '123456789012345678901', '1e400', 'N/A', 'NULL', '""', '{}', '[]', '{ "a":1}', '__proto__', '"__proto__":{"app_id":"p"}', ',"event_value":{"a":[1,{"b":"}"}]}',
  ',"event_value":"{\\"a\\":\\"\\u00e9\\"}"', ',"event_name":7', ',"event_time":"2026-01-01 00:00:00"', ',"is_primary_attribution":"0"', '/*x*/', "'",
  ',"appsflyer_device_id":"d"', ',"currency":"USD"', ',"api_version":"2.0"', ',"eventName":"e"', ',"appsflyer_id":""', ',"event_value":"{\\"user_id\\":\\"h\\"}"', ',"eventValue":"{\\"params\\":{\\"user_id\\":7}}"',
] as const;

const BASES = [PURCHASE, ORGANIC_INSTALL, SKAN_INSTALL, V1_PURCHASE, S2S_PURCHASE] as const;

/** A realistic message in one of the ways that senders write JSON. */
export function realistic(random: Random): string {
  const base = random.pick(BASES);
  const entries = Object.entries(base).filter(() => random.below(12) !== 0);
  if (random.below(3) === 0) entries.sort(() => random.below(3) - 1);
  const message = Object.fromEntries(entries);
  switch (random.below(5)) {
    case 0:
      return JSON.stringify(message, null, 2);
    case 1:
      return JSON.stringify(message, null, 1).replace(/\n */g, ' ');
    case 2:
      return JSON.stringify(message).replaceAll('/', '\\/');
    default:
      return JSON.stringify(message);
  }
}

/** Inserts, removes, doubles or replaces up to six stretches; works on bytes, so it cuts through characters too. */
export function mutate(random: Random, text: string): Buffer {
  let bytes = Buffer.from(text);
  for (let count = random.below(7); count > 0; count--) {
    const at = random.below(bytes.byteLength + 1);
    const to = Math.min(bytes.byteLength, at + random.below(random.below(4) === 0 ? 60 : 4));
    const piece = Buffer.from(random.pick(PIECES));
    switch (random.below(6)) {
      case 0:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
        break;
      case 2:
        if (at < bytes.byteLength) bytes[at] = random.below(256);
        break;
      case 3: {
        // Between two members, where the rest stays valid JSON.
        const comma = bytes.indexOf(',"', at);
        const where = comma < 0 ? at : comma;
        bytes = Buffer.concat([bytes.subarray(0, where), piece, bytes.subarray(where)]);
        break;
      }
      case 4: {
        // In place of a value.
        const colon = bytes.indexOf('":', at);
        const comma = colon < 0 ? -1 : bytes.indexOf(',"', colon);
        if (comma >= 0) bytes = Buffer.concat([bytes.subarray(0, colon + 2), piece, bytes.subarray(comma)]);
        break;
      }
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    }
  }
  return bytes;
}

const deep = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)},"app_id":"d","appsflyer_id":"u"}`;

/** Cases that are easily got wrong, each by itself. */
export const AWKWARD: readonly (string | Buffer)[] = [
  '', ' ', '{', '}', '{}', '{ }', '[]', '[{"app_id":"a","appsflyer_id":"u"}]', 'null', '"{}"', '1', '{"app_id"}', '{"app_id":}', '{"app_id":"a",}', '{,"app_id":"a"}',
  '{"app_id":"a","appsflyer_id":"u"}', ' {"app_id":"a","appsflyer_id":"u"}', '{"app_id":"a","appsflyer_id":"u"}\n', '{"app_id":"a","appsflyer_id":"u"}x', '{"app_id":"a","appsflyer_id":"u"}}',
  '\ufeff{"app_id":"a","appsflyer_id":"u"}', '{"app_id" : "a" , "appsflyer_id" :\t"u"}', '{\n"app_id":\r\n"a",\n"appsflyer_id":"u"\n}', '{"app_id":"a","appsflyer_id":"u"\u00a0}',
  '{"app_id":"a","app_id":"b","appsflyer_id":"u"}', '{"app_id":"a","appsflyer_id":"u","appsflyer_id":null,"idfa":"i"}', '{"app_id":"a","appsflyer_id":"u","app\\u005fid":"b"}',
  '{"app_id":"a","appsflyer_id":"u","a\\u0070p_id":""}', '{"app_id":"a","\\u0061ppsflyer_id":"u"}', '{"x":{"app_id":"a","appsflyer_id":"u"}}', '{"x":{"app_id":"b"},"app_id":"a","appsflyer_id":"u"}',
  '{"x":[{"appsflyer_id":"b"}],"app_id":"a","idfa":"u"}', '{"x":[{ "appsflyer_id":"b"}],"app_id":"a","idfa":"u"}', '{"x":"{\\"app_id\\":\\"b\\"}","app_id":"a","appsflyer_id":"u"}',
  '{"x\\"app_id":"b","appsflyer_id":"u"}', '{"x\\\\\\"app_id":"b","appsflyer_id":"u"}', '{"x\\",\\"app_id":"b","appsflyer_id":"u"}', '{"x":"\\\\","app_id":"a","appsflyer_id":"u"}',
  '{"x":",\\"app_id\\":","app_id":"a","appsflyer_id":"u"}', '{"app_id":"a","appsflyer_id":"app_id"}', '{"app_id":"app_id","appsflyer_id":"u"}', '{"skad_source_app_id":"s","app_id":"a","appsflyer_id":"u"}',
  '{"app_id":"a\\"b","appsflyer_id":"u\\/v"}', '{"app_id":"a","appsflyer_id":"\\u0031"}', '{"app_id":"a","appsflyer_id":"\\ud800"}', '{"app_id":"\\udc00\\ud800","appsflyer_id":"u"}',
  '{"app_id":"Zürich","appsflyer_id":"東京"}', '{"app_id":1,"appsflyer_id":2}', '{"app_id":"1","appsflyer_id":"2"}', '{"app_id":"a","appsflyer_id":123456789012345678901234}',
  '{"app_id":"a","appsflyer_id":1.50}', '{"app_id":"a","appsflyer_id":1e5}', '{"app_id":"a","appsflyer_id":-0,"idfa":"i"}', '{"app_id":"a","appsflyer_id":1e400}', '{"app_id":"a","appsflyer_id":01}',
  '{"app_id":"a","appsflyer_id":true,"idfa":"i"}', '{"app_id":"a","appsflyer_id":{},"idfa":"i"}', '{"app_id":"a","appsflyer_id":[1],"idfa":"i"}', '{"app_id":"a","appsflyer_id":null,"idfa":"i"}',
  '{"app_id":"a","appsflyer_id":"","idfa":"i"}', '{"app_id":"a","appsflyer_id":"0000-000","idfa":"i"}', '{"app_id":"a","appsflyer_id":"NULL","idfa":"i"}', '{"app_id":"a","appsflyer_id":"un\u212anown"}',
  '{"app_id":"","appsflyer_id":"u"}', '{"app_id":null,"appsflyer_id":"u"}', '{"appsflyer_id":"u"}', '{"app_id":"a"}', '{"app_id":"a","event_uuid":"e"}', '{"__proto__":{"app_id":"p"},"appsflyer_id":"u"}',
  '{"__proto__":null,"app_id":"a","appsflyer_id":"u"}', '{"constructor":"c","toString":1,"app_id":"a","appsflyer_id":"u"}', '{"app_id":"a","appsflyer_id":"u","x":"\u0001"}', '{"app_id":"a","appsflyer_id":"u","x":"\t"}',
  '{"app_id":"a\u007f","appsflyer_id":"u"}', '{"app_id":"a","appsflyer_id":"u","x":"\\x"}', '{"app_id":"a","appsflyer_id":"u","x":"\\u12g4"}', '{"app_id":"a","appsflyer_id":"u","x":"\\u12"}', '{"app_id":"a","appsflyer_id":"u","x":"',
  '{"app_id":"a","appsflyer_id":"u","x":"\\', '{"app_id":"a","appsflyer_id":"u","x":tru}', '{"app_id":"a","appsflyer_id":"u","x":truee}', '{"app_id":"a","appsflyer_id":"u","x":nul}', '{"app_id":"a","appsflyer_id":"u","x":-}',
  '{"app_id":"a","appsflyer_id":"u","x":1.}', '{"app_id":"a","appsflyer_id":"u","x":1e}', '{"app_id":"a","appsflyer_id":"u","x":+1}', '{"app_id":"a","appsflyer_id":"u","x":1}', '{"app_id":"a","appsflyer_id":"u","x":-0.0e-0}',
  '{"app_id":"a","appsflyer_id":"u","event_value":"\\u00e9"}', '{"app_id":"a","appsflyer_id":"u","event_value":{"b" : [1, 2]} }', '{"app_id":"a","appsflyer_id":"u","event_value":"N\\/A"}', '{"app_id":"a" "appsflyer_id":"u"}',
  '{"":"","app_id":"a","appsflyer_id":"u"}', `{"app_id":"${'a'.repeat(5_000)}","appsflyer_id":"u"}`, `{"app_id":"a","appsflyer_id":"u","x":"${'{'.repeat(100)}"}`, `{"app_id":"a","x":"${'y'.repeat(1_048_576)}","appsflyer_id":"u"}`,
  deep(3), deep(10_000), deep(100_000), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), Buffer.from('{"app_id":"\xe9","appsflyer_id":"u"}', 'latin1'), Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.concat([Buffer.from('{"app_id":"a","appsflyer_id":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]), Buffer.concat([Buffer.from('{"app_id":"a","appsflyer_id":"u","x":"'), Buffer.from([0xc0, 0x80]), Buffer.from('"}')]),
];

/** The bytes inside a larger buffer whose surroundings would mislead a reader that leaves its range. */
export function embed(bytes: Buffer, random: Random): { bytes: Buffer; start: number; end: number } {
  const before = Buffer.from(random.pick(['', '{"app_id":"before",', '"\\', '{'.repeat(9)]));
  const after = Buffer.from(random.pick(['', '"}', ',"app_id":"after"}', '":"x"}', '0123456789', 'ue}', '\\u0041"}']));
  return { bytes: Buffer.concat([before, bytes, after]), start: before.byteLength, end: before.byteLength + bytes.byteLength };
}
