import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withAppId } from '../../../ingress/http/s2s.ts';

const spliced = (text: string): string | null => {
  const bytes = Buffer.from(`${text}"}`);
  return withAppId(bytes, bytes.byteLength - 2, 'id1')?.toString() ?? null;
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

describe('the app id in a record of S2S', () => {
  it.each([
    ['{}', '{"app_id":"id1"}'],
    ['{ }\n', '{ "app_id":"id1"}'],
    ['{"a":1}', '{"a":1,"app_id":"id1"}'],
    [' {"a":{}} \r\n\t', ' {"a":{},"app_id":"id1"}'],
    ['{"a":"{"}', '{"a":"{","app_id":"id1"}'],
    ['{"app_id":"theirs"}', '{"app_id":"theirs","app_id":"id1"}'],
  ])('becomes the last member: %j to %j', (text, record) => {
    expect(spliced(text)).toBe(record);
  });

  it.each(['', ' ', '[{"a":1}]', '{"a":1', '7', 'x'])('has no place in %j', (text) => {
    expect(spliced(text)).toBeNull();
  });

  it('wins in every object, changes nothing else in it, and makes no object of anything', () => {
    const member = fc.tuple(fc.oneof(fc.constantFrom('app_id', 'a', '__proto__'), fc.string({ unit: 'binary', maxLength: 4 })), fc.jsonValue({ maxDepth: 2 }));
    const object = fc.array(member, { maxLength: 4 }).map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`);
    const spoilt = fc.tuple(object, fc.nat(60), fc.nat(3), fc.constantFrom('', '}', '{', '"', '\\\\', ',', ']', ':')).map(([text, at, length, piece]) => text.slice(0, at) + piece + text.slice(at + length));
    fc.assert(
      fc.property(fc.oneof(object, spoilt), (text) => {
        const before = parsed(Buffer.from(text).toString());
        const record = spliced(text);
        const isObject = typeof before === 'object' && before !== null && !Array.isArray(before);
        const after = record === null ? undefined : parsed(record);
        if (!isObject) expect(after).toBeUndefined();
        else expect(after).toEqual({ ...before, app_id: 'id1' });
      }),
      { numRuns: 5_000 },
    );
  });
});
