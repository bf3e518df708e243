/** Where everything lies in the scanner's memory: fixed addresses, for nothing here allocates. */

/** Fields that can be told apart, and the words that each array of them has. */
export const FIELDS_MAX: i32 = 64;
/** Where a field's text lies, from and to; from is -1 for a field that is not there. i32 by field. */
export const STARTS: i32 = 1024;
export const ENDS: i32 = STARTS + 4 * FIELDS_MAX;
/** By field: the place of its text among the kept ones, or {@link NOT_KEPT} - place, or -1 where none was looked for. i32. */
export const PLACES: i32 = ENDS + 4 * FIELDS_MAX;
/** Fields whose texts are looked for among the kept ones: their numbers, u8, and how many. */
export const REPEATING: i32 = PLACES + 4 * FIELDS_MAX;
/** Field names: by hash the number or -1, i8; by number the length, i32, and the text, 32 bytes, the rest zero. */
export const SLOTS: i32 = REPEATING + FIELDS_MAX;
export const LENGTHS: i32 = SLOTS + 1024;
export const NAMES: i32 = LENGTHS + 4 * FIELDS_MAX;
export const NAME_BYTES_MAX: i32 = 32;
/** The four words of the last fingerprint. */
export const FINGERPRINT: i32 = NAMES + NAME_BYTES_MAX * FIELDS_MAX;
/** How identities are made, and what stands before them: see identity.ts. 64 bytes each. */
export const RECIPES: i32 = FINGERPRINT + 16;
export const PREFIX: i32 = RECIPES + 64;
export const PREFIX_BYTES_MAX: i32 = 64;
export const RECIPE_USER: i32 = 0xfd;
export const RECIPE_NUMBER: i32 = 0xfe;
export const RECIPE_TRUTH: i32 = 0xff;
/** Texts that are kept: lengths, u8, 0 for a free place, and 64 bytes each. */
export const KEPT_LENGTHS: i32 = 8192;
export const KEPT_COUNT: i32 = 8192;
export const KEPT_TEXTS: i32 = KEPT_LENGTHS + KEPT_COUNT;
export const KEPT_BYTES_MAX: i32 = 64;
export const NOT_KEPT: i32 = -2;
export const PADDING: i32 = 64;
/** The record; then room as large for texts without their escapes; then for the identity, which may hold all of the record and 1 KiB. */
export const RECORD: i32 = KEPT_TEXTS + KEPT_COUNT * KEPT_BYTES_MAX;
export const RECORD_BYTES_MAX: i32 = 1_048_576;
export const SIDE: i32 = RECORD + RECORD_BYTES_MAX + PADDING;
export const IDENTITY: i32 = SIDE + RECORD_BYTES_MAX + PADDING;
export const MEMORY_BYTES: i32 = IDENTITY + RECORD_BYTES_MAX + 1024 + PADDING;
/** No place of a text. */
export const NOWHERE: i32 = -1;
/** In STARTS: the field is not there. */
export const ABSENT: i32 = -1;
