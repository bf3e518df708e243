/**
 * The door's byte search against a plain reading of the same rules: JSON.parse for the verdict, a reviver-free second look for numbers.
 *
 * The oracle shares nothing with the partitioner but the hash: it finds raw numbers by parsing the text again with every number quoted.
 */

import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { hash32 } from '../../engine/core/hash.ts';
import { createPartitioner } from '../../engine/core/partition-key.ts';
import { RecordFlag } from '../../engine/core/record.ts';
import { AWKWARD, embed, mutate, Random, realistic } from './json-bytes.ts';

const PARTITIONS = 1_009;
const spec = appsflyerPipeline.partitionKey;
const partitioner = createPartitioner(spec, PARTITIONS);

/** Each string or number of a valid JSON text; numbers become strings of their own characters. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const quoteNumbers = (text: string): string => text.replace(TOKENS, (token) => (token.startsWith('"') ? token : JSON.stringify(token)));

const hashOf = (text: string, seed: number): number => {
  const bytes = Buffer.from(text);
  return hash32(bytes, 0, bytes.byteLength, seed);
};

const textOf = (body: Record<string, unknown>, key: string): string => {
  const value = Object.hasOwn(body, key) ? body[key] : null;
  return typeof value === 'string' ? value : typeof value === 'boolean' ? String(value) : '';
};

function expected(bytes: Buffer): { partition: number; flags: number } {
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
  const user = spec.users.map((key) => textOf(body, key)).find((value) => value !== '' && !spec.isPlaceholder(value));
  if (scope === '' || user === undefined) return { partition: byContent, flags: RecordFlag.none };
  return { partition: hashOf(user, hashOf(scope, 0)) % PARTITIONS, flags: RecordFlag.none };
}

let compared = 0;
function compare(body: Buffer, random: Random): void {
  const { bytes, start, end } = embed(body, random);
  partitioner.locate(bytes, start, end);
  const found = { partition: partitioner.partition as number, flags: partitioner.flags };
  const wanted = expected(body);
  // A body that is no JSON may pass the byte search: the door cannot tell, and any partition will do.
  if (wanted.flags === RecordFlag.malformed && found.flags === RecordFlag.none) return;
  if (found.partition !== wanted.partition || found.flags !== wanted.flags) {
    expect({ body: body.toString('latin1').slice(0, 3_000), ...found }).toEqual({ body: body.toString('latin1').slice(0, 3_000), ...wanted });
  }
  compared++;
}

describe('byte search and full parse name the same partition', () => {
  it('for awkward bodies', () => {
    const random = new Random(1);
    for (const body of AWKWARD) compare(Buffer.from(body), random);
  });

  it('for mutated messages', () => {
    const seed = Number(process.env.FUZZ_SEED ?? 20_260_503);
    const random = new Random(seed);
    const end = performance.now() + Number(process.env.FUZZ_MS ?? 1_000);
    compared = 0;
    while (performance.now() < end) compare(mutate(random, realistic(random)), random);
    expect(compared).toBeGreaterThan(1_000);
  });

  it('for any JSON object built around its keys', () => {
    const key = fc.oneof(fc.constantFrom(spec.scope, ...spec.users, `x${spec.scope}`, '__proto__', ''), fc.string({ unit: 'binary', maxLength: 8 }));
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom<unknown>('', 'null', '0-0', 'u-1', '{"app_id":"x"}', null, true, 12, 1e21, -0, { app_id: 'x' }, [{ appsflyer_id: 'y' }], {}, []),
      fc.json(),
    );
    const members = fc.array(fc.tuple(key, value, fc.constantFrom('', ' ', '\n\t'), fc.boolean()), { maxLength: 8 });
    const random = new Random(7);
    fc.assert(
      fc.property(members, (list) => {
        const text = list.map(([name, held, space, escaped]) => `${space}${spell(name, escaped)}${space}:${space}${JSON.stringify(held)}${space}`).join(',');
        compare(Buffer.from(`{${text}}`), random);
      }),
      { numRuns: 3_000, seed: 11 },
    );
  });
});

/** A key as JSON, when asked with its first character as an escape. */
const spell = (name: string, escaped: boolean): string => {
  const text = JSON.stringify(name);
  return escaped && /^[a-z]/.test(name) ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${text.slice(2)}` : text;
};
