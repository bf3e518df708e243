import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COST_MICROS_MAX, costMicros } from '../../../actors/costs/amount.ts';

describe('an amount of spend', () => {
  it.each([
    ['0', 0],
    ['-0', 0],
    ['12.345678', 12_345_678],
    ['12.3400000000', 12_340_000],
    ['.5', 500_000],
    ['5.', 5_000_000],
    ['+1', 1_000_000],
    ['-0.000001', -1],
    ['1e3', 1_000_000_000],
    ['1.5E-3', 1_500],
    ['  7 ', 7_000_000],
    ['9007199254.740991', COST_MICROS_MAX],
    [2.25, 2_250_000],
    [1e-6, 1],
    [1e9, 1_000_000_000_000_000],
  ])('of %j is exact', (value, micros) => {
    expect(Object.is(costMicros(value, 'refuse'), micros)).toBe(true);
    expect(costMicros(value, 'round')).toBe(micros);
  });

  it.each(['', ' ', '.', '-', 'e5', '1,000', '1 000', '0x10', 'NaN', 'Infinity', '1.2.3', '1e', '$5', '9007199254.740992', '1e99', '1e999', '9'.repeat(65), Number.NaN, Infinity, 1_000_000_001, true, null, {}, []])('of %j is none', (value) => {
    expect(costMicros(value, 'refuse')).toBeNull();
    expect(costMicros(value, 'round')).toBeNull();
  });

  it('with more than six decimals is refused, or rounded half to even where that is asked for', () => {
    for (const text of ['0.0000001', '1.2345675', '1e-7', 0.1 + 0.2]) expect(costMicros(text, 'refuse')).toBeNull();
    expect(['0.1234565', '0.1234575', '0.12345651', '-0.0000005', '0.0000015', '1e-7', '0.30000000000000004', '6e-7'].map((text) => costMicros(text, 'round'))).toEqual([123_456, 123_458, 123_457, 0, 2, 0, 300_000, 1]);
  });

  it('is what its digits say, whatever they are', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -BigInt(COST_MICROS_MAX), max: BigInt(COST_MICROS_MAX) }), (micros) => {
        const digits = String(micros < 0n ? -micros : micros).padStart(7, '0');
        expect(costMicros(`${micros < 0n ? '-' : ''}${digits.slice(0, -6)}.${digits.slice(-6)}`, 'refuse')).toBe(Number(micros));
      }),
    );
  });
});
