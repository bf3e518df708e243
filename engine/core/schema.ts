/** The only door to zod, and the units that settings are written in. */
import { z } from 'zod';

export { z };

/** Whole number within bounds; as text, which is all that the environment and a query string have, in digits alone. */
export function wholeNumber(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) {
  const bounds = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
  const digits = (value: unknown): unknown => (typeof value === 'string' && /^\s*-?[0-9]+\s*$/.test(value) ? Number(value) : value);
  return z.preprocess(digits, z.int({ error: `must be a whole number ${bounds}, in digits alone` }).min(minimum).max(maximum));
}

/** True or false; from the environment as the words true, false, 1, 0, yes, no. */
export const flag = () =>
  z.preprocess((value) => {
    if (typeof value !== 'string') return value;
    const word = value.toLowerCase();
    return ['true', '1', 'yes'].includes(word) ? true : ['false', '0', 'no'].includes(word) ? false : value;
  }, z.boolean());
