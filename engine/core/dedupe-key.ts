/**
 * The key by which a repeat is known again: a hash of what makes an event, and beside it a variant that only some modes look at.
 *
 * ```
 * word 0, 1, 2   hash        word 3   variant (10 bits) | hash (22 bits)
 * ```
 * For AppsFlyer the variant is the millisecond within the second. So one stored key serves each mode: what compares milliseconds looks at all of
 * it, what compares seconds at all but the variant, and a change of mode forgets nothing. It also tells, at no cost, which repeats
 * differ in what their mode does not look at. 118 bits of hash: among a billion keys two are alike by chance once in 10^17 such sets.
 */

export const DEDUPE_KEY_WORDS = 4;
const VARIANT_SHIFT = 22;
const HASH_MASK = 2 ** VARIANT_SHIFT - 1;
/** Of a record that does not tell which variant it is; it is alike to each of them. */
export const NO_VARIANT = 1_023;

/** Word 3 of a key. `variant`: 0 to 999, or {@link NO_VARIANT}. */
export const withVariant = (word: number, variant: number): number => (word & HASH_MASK) | (variant << VARIANT_SHIFT);

/** How a key that was looked for is there. The higher one counts where several are. */
export const Found = { nowhere: 0, otherVariant: 1, same: 2 } as const;
export type Found = (typeof Found)[keyof typeof Found];

/** Of two keys that are equal in their first three words: how they are alike, by their fourth ones. */
export function compareVariants(word: number, asked: number): Found {
  if (((word ^ asked) & HASH_MASK) !== 0) return Found.nowhere;
  const variant = word >>> VARIANT_SHIFT;
  const askedVariant = asked >>> VARIANT_SHIFT;
  return variant === askedVariant || variant === NO_VARIANT || askedVariant === NO_VARIANT ? Found.same : Found.otherVariant;
}
