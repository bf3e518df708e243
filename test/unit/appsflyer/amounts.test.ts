import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AMOUNT_MICROS_MAX, readMicros } from '../../../actors/appsflyer/amounts.ts';

/** Whatever stands around the text: it may be another field's. */
const read = (text: string): number => {
  const [amount = NaN, ...others] = ['9', '-', '+', '.', 'e', '"', '0'].map((neighbour) => {
    const bytes = Buffer.from(`${neighbour}${text}${neighbour}5`);
    return readMicros(bytes, 1, bytes.byteLength - 2);
  });
  expect(others.filter((other) => !Object.is(other, amount))).toEqual([]);
  return amount;
};

/** The same rules in exact whole numbers, the slow and obvious way. */
function oracle(text: string): number {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null || text.length > 64) return NaN;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return NaN;
  const scale = BigInt(Math.max(-200, Math.min(200, Number(exponent)))) + 6n - BigInt(fraction.length);
  let value = BigInt(whole + fraction);
  if (scale >= 0n) value *= 10n ** scale;
  else {
    const divisor = 10n ** -scale;
    const rest = (value % divisor) * 2n;
    value /= divisor;
    if (rest > divisor || (rest === divisor && value % 2n === 1n)) value += 1n;
  }
  if (value > BigInt(AMOUNT_MICROS_MAX)) return NaN;
  return sign === '-' && value !== 0n ? -Number(value) : Number(value);
}

describe('readMicros', () => {
  it.each([
    ['13.61', 13_610_000], ['-13.61', -13_610_000], ['+1', 1_000_000], ['0', 0], ['-0', 0], ['-0.0', 0], ['.5', 500_000], ['5.', 5_000_000], ['0.00001', 10], ['1e3', 1_000_000_000], ['1.361E1', 13_610_000], ['1361e-2', 13_610_000],
    ['13.609999999999999', 13_610_000], ['0.0000005', 0], ['0.0000015', 2], ['0.00000050000001', 1], ['0.0000025', 2], ['1000000', AMOUNT_MICROS_MAX], ['00000000000000000012.5', 12_500_000], ['0e99999999999', 0], ['1e-999999999999', 0],
  ])('reads %s as %d', (text, micros) => {
    expect(Object.is(read(text), micros)).toBe(true);
  });

  it.each(['', '-', '.', '+.', 'e5', '1e', '1e+', '1,000.5', '1 ', ' 1', '$1', '1.2.3', '0x10', 'NaN', 'Infinity', '1e5x', '--1', '1000000.000001', '-1000001', '1e7', '1e999999', `1${'0'.repeat(70)}`, '١'])('finds no amount in %j', (text) => {
    expect(read(text)).toBeNaN();
  });

  it('is exact for any decimal text', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 12 });
    const texts = fc.tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.'), digits, fc.oneof(fc.constant(''), fc.integer({ min: -20, max: 20 }).map((value) => `e${value}`)));
    fc.assert(
      fc.property(texts, (parts) => {
        expect(read(parts.join(''))).toBe(oracle(parts.join('')));
      }),
      { numRuns: 5_000 },
    );
  });

  it('reads what JSON writes of a number', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e11, max: 1e11 }), (hundredThousandths) => {
        expect(read(JSON.stringify(hundredThousandths / 1e5))).toBe(hundredThousandths * 10 || 0);
      }),
    );
  });
});
