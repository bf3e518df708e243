import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DIMENSION_SEPARATOR, DIMENSION_VALUE_BYTES_MAX } from '../../../engine/core/cell.ts';
import { dimensionValue } from '../../../engine/core/dimension-value.ts';

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 300 }).map((codes) => String.fromCharCode(...codes)),
);

describe('dimensionValue', () => {
  it('keeps ordinary values as they are', () => {
    for (const value of ['spring_fr', '21421952087', 'Zürich 東京 🚀', 'a'.repeat(200), 'x::y|z', '']) expect(dimensionValue(value)).toBe(value);
  });

  it('replaces control characters and lone surrogates', () => {
    expect(dimensionValue('a\u001fb\nc\u007fd\u0085')).toBe('a\ufffdb\ufffdc\ufffdd\ufffd');
    expect(dimensionValue('\ud800x\udc00')).toBe('\ufffdx\ufffd');
    expect(dimensionValue('\ud83d\ud83d\ude80\ude80')).toBe('\ufffd🚀\ufffd');
  });

  it('cuts long values between characters and keeps them apart by a hash', () => {
    const one = dimensionValue(`${'é'.repeat(150)}1`);
    const two = dimensionValue(`${'é'.repeat(150)}2`);
    expect(one).not.toBe(two);
    expect(one).toMatch(/^é+~[0-9a-f]{16}$/);
    expect(Buffer.byteLength(one)).toBeGreaterThan(DIMENSION_VALUE_BYTES_MAX - 4);
  });

  it('gives a bounded, clean and stable value for any text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const value = dimensionValue(text);
        expect(Buffer.byteLength(value)).toBeLessThanOrEqual(DIMENSION_VALUE_BYTES_MAX);
        expect(value).not.toContain(DIMENSION_SEPARATOR);
        expect(Buffer.from(value).toString()).toBe(value);
        expect(dimensionValue(value)).toBe(value);
      }),
    );
  });
});
