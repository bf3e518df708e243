/** Fields of a CSV answer, as RFC 4180 has them. */

/** In quotes where it needs them. */
export const csvField = (value: string): string => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** A name that came from outside: what a spreadsheet would take for a formula (it starts with = + - @, tab or return) gets a `'` before it. */
export const csvText = (value: string): string => csvField(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
