import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitRecords } from '../../../ingress/http/split.ts';

const COUNT_MAX = 1_000;

/** The spans' own texts. */
function split(text: string | Buffer, countMax = COUNT_MAX, lines = false): string[] | null {
  // Bytes before and after the range must not matter: they are an earlier body's.
  const body = Buffer.from(text as string);
  const bytes = Buffer.concat([Buffer.from('[{"'), body, Buffer.from('\n{"stale":1}]')]);
  const spans = splitRecords(bytes, 3, 3 + body.byteLength, countMax, lines);
  return spans === null ? null : Array.from({ length: spans.count }, (_, index) => bytes.toString('utf8', spans.start(index), spans.end(index)));
}

describe('NDJSON', () => {
  it('cuts at line feeds, tolerates CRLF and a missing last line end, and skips blank lines', () => {
    expect(split('{"a":1}\r\n\r\n  \n{"b":2}\n\n{"c":3}')).toEqual(['{"a":1}', '{"b":2}', '{"c":3}']);
  });

  it('finds nothing in an empty or blank body', () => {
    expect(split('')).toEqual([]);
    expect(split(' \r\n\t\n')).toEqual([]);
  });

  it('skips a byte order mark', () => {
    expect(split('\ufeff{"a":1}\n')).toEqual(['{"a":1}']);
    expect(split('\ufeff[1]')).toEqual(['1']);
  });

  it('leaves a broken line to itself', () => {
    expect(split('{"a":1}\n{"a":\n{"b":2}')).toEqual(['{"a":1}', '{"a":', '{"b":2}']);
  });
});

describe('NDJSON whose first line is an array', () => {
  it('loses that line alone, when the sender says NDJSON', () => {
    for (const first of ['[1,2]', '[', '[{"a":', '["x']) expect(split(`${first}\n{"b":2}\n{"c":3}`, COUNT_MAX, true)).toEqual([first, '{"b":2}', '{"c":3}']);
  });

  it('loses that line alone, when the sender does not say and the array ends with its line', () => {
    expect(split('[1,2]\r\n{"b":2}\n{"c":3}')).toEqual(['[1,2]', '{"b":2}', '{"c":3}']);
    expect(split('[1,2]\n{"b":2}\n{"c":3}', 2)).toBeNull();
  });
});

describe('a JSON array', () => {
  it('keeps the bytes of each element: long numbers, escapes, inner white space', () => {
    const elements = ['{"id":123456789012345678}', '{ "a" : [1, {"b":"]},["}] }', '"\\"],["', '1e400', 'null'];
    expect(split(` [ ${elements.join(' ,\r\n')} ] `)).toEqual(elements);
  });

  it('is empty when it is empty', () => {
    expect(split('[]')).toEqual([]);
    expect(split(' [ \n ] ')).toEqual([]);
  });

  it('gives the complete elements of a truncated one, and its rest as one', () => {
    expect(split('[{"a":1},{"b":2},{"c":"x')).toEqual(['{"a":1}', '{"b":2}', '{"c":"x']);
    expect(split('[{"a":1},{"b":2},')).toEqual(['{"a":1}', '{"b":2}']);
    expect(split('[')).toEqual([]);
    expect(split('[{"a":"\\')).toEqual(['{"a":"\\']);
  });

  it('gives what follows the array as one more', () => {
    expect(split('[1] {"b":2}, 3')).toEqual(['1', '{"b":2}, 3']);
  });

  it('skips empty elements', () => {
    expect(split('[,1,,2,]')).toEqual(['1', '2']);
  });

  it('walks any depth without a stack', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(split(`[${deep},1]`)).toEqual([deep, '1']);
    expect(split(`[${'{"a":'.repeat(10_000)}`)).toHaveLength(1);
  });
});

it('says so when there are more records than it may give', () => {
  expect(split('1\n2\n3', 2)).toBeNull();
  expect(split('[1,2,3]', 2)).toBeNull();
  expect(split('[1,2]', 2)).toEqual(['1', '2']);
});

it('splits what JSON.stringify joins, whatever the values', () => {
  fc.assert(
    fc.property(fc.array(fc.json().filter((text) => text.trim() !== ''), { maxLength: 20 }), (texts) => {
      const elements = texts.map((text) => JSON.stringify(JSON.parse(text)));
      expect(split(`[${elements.join(',')}]`)).toEqual(elements);
      // A first line that opens a bracket would make the body an array.
      expect(split(['{}', ...elements].join('\n'))).toEqual(['{}', ...elements]);
    }),
  );
});

it('puts every byte that is no separator into exactly one span, whatever the bytes', () => {
  const alphabet = fc.constantFrom('[', ']', '{', '}', ',', '"', '\\', ' ', '\n', 'x', '1', ':');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 60 }), (characters) => {
      const text = characters.join('');
      const spans = split(text) as string[];
      const kept = spans.join('');
      const dropped = text.length - kept.length;
      expect(dropped).toBeGreaterThanOrEqual(0);
      // What is not kept is white space, commas and at most the array's two brackets.
      const without = (from: string, what: RegExp): string => from.replace(what, '');
      const bracketsDropped = without(text, /[ \n,]/g).length - without(kept, /[ \n,]/g).length;
      expect(bracketsDropped).toBeLessThanOrEqual(2);
      let at = 0;
      for (const span of spans) {
        const found = text.indexOf(span, at);
        expect(found).toBeGreaterThanOrEqual(at);
        at = found + span.length;
      }
    }),
    { numRuns: 2_000 },
  );
});
