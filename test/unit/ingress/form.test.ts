import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FORM_PAIRS_MAX, formToJson, looksLikeForm } from '../../../ingress/http/form.ts';

const parsed = (text: string): unknown => JSON.parse((formToJson(text) as Buffer).toString());
const written = (text: string): string | undefined => formToJson(text)?.toString();

describe('form pairs as JSON', () => {
  it('decodes percent and plus, and keeps every value a string', () => {
    expect(parsed('app_id=id1&event_value=%7B%22a%22%3A1%7D&name=a+b%2Bc&n=7&u=%C3%A9%F0%9F%98%80')).toEqual({ app_id: 'id1', event_value: '{"a":1}', name: 'a b+c', n: '7', u: 'é😀' });
  });

  it('takes keys without a value, values with equals signs, and empty pairs', () => {
    expect(written('a&b=&=c&&d=1=2&')).toBe('{"a":"","b":"","":"c","d":"1=2"}');
  });

  it('gives an empty object for an empty text', () => {
    expect(written('')).toBe('{}');
    expect(written('&&&')).toBe('{}');
  });

  it('writes a key that comes twice twice, so that the last one holds', () => {
    expect(written('a=1&a=2')).toBe('{"a":"1","a":"2"}');
  });

  it('lets a broken percent-encoding stand, and replaces what is not UTF-8', () => {
    expect(parsed('a=%&b=%z1&c=100%25&d=%ff%41')).toEqual({ a: '%', b: '%z1', c: '100%', d: '\ufffdA' });
  });

  it('does no harm with keys that mean something to objects', () => {
    expect(written('__proto__=1&constructor=2')).toBe('{"__proto__":"1","constructor":"2"}');
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
  });

  it('has a bound on the number of pairs', () => {
    const pairs = (count: number): string => Array.from({ length: count }, (_, index) => `k${index}=v`).join('&');
    expect(formToJson(pairs(FORM_PAIRS_MAX))).not.toBeNull();
    expect(formToJson(pairs(FORM_PAIRS_MAX + 1))).toBeNull();
  });

  it('is valid JSON for any text, and agrees with URLSearchParams on well-formed ones', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(() => parsed(text)).not.toThrow();
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string()), (object) => {
        const text = new URLSearchParams(Object.entries(object)).toString();
        expect(parsed(text)).toEqual(Object.fromEntries(new URLSearchParams(text)));
      }),
    );
  });
});

describe('telling pairs from JSON', () => {
  const looks = (text: string): boolean => looksLikeForm(Buffer.from(text), 0, Buffer.byteLength(text));

  it('goes by the first key', () => {
    expect(looks('app_id=id1&x=1')).toBe(true);
    expect(looks('a%5Bb%5D=1')).toBe(true);
    for (const text of ['', '{"a":"b=c"}', ' {"a=":1}', '[1]', '"a=b"', 'hello world=1', '=1', 'nonsense', `${'k'.repeat(257)}=1`]) expect(looks(text)).toBe(false);
  });
});
