/** The only door to zod, and the units that settings are written in. */
import { z } from 'zod';

export { z };

/** Whole number within bounds. */
export const wholeNumber = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) => z.coerce.number().int().min(minimum).max(maximum);

/** True or false; from the environment as the words true, false, 1, 0, yes, no. */
export const flag = () =>
  z.preprocess((value) => {
    if (typeof value !== 'string') return value;
    const word = value.toLowerCase();
    return ['true', '1', 'yes'].includes(word) ? true : ['false', '0', 'no'].includes(word) ? false : value;
  }, z.boolean());
