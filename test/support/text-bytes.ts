/** Texts that come as bytes of a buffer that is used again, as strings to be kept. */

import type { TextBytes } from '../../engine/core/pipeline.ts';

const isTextBytes = (value: unknown): value is TextBytes => typeof value === 'object' && value !== null && 'view' in value && 'start' in value;

/** Anything else as it is. */
export const textOf = <Value>(value: Value | TextBytes): Value | string => (isTextBytes(value) ? Buffer.from(value.view.buffer as ArrayBuffer, value.view.byteOffset + value.start, value.end - value.start).toString() : value);
