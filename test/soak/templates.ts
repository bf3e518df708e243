/**
 * Messages of the generator with a user and a time left open, so that a record costs one copy: the sender of a soak must not take the
 * core that the daemon needs.
 *
 * A record is a pure function of its number and its time; sent again, it has the same bytes. Each has a user of its own, so no two
 * records are one event. What a template counts as is what the generator says of the message it was made from.
 */

import { createGenerator, type GeneratedMessage } from '../../actors/appsflyer/generate/index.ts';
import type { Effect } from '../../actors/appsflyer/generate/effect.ts';

export const TEMPLATES = 512;
const USER_DIGITS = 12;
const USER_TEXT = `1718000000123-${'0'.repeat(USER_DIGITS)}`;
/** `yyyy-mm-dd hh:mm:ss.mmm` */
const TIME_LENGTH = 23;
const ZERO = 0x30;
const DAMAGED = 0x5f;

export interface Template {
  readonly bytes: Buffer;
  readonly userAt: number;
  readonly timeAt: number;
  /** A record whose name has another key is rejected. */
  readonly nameKeyAt: number;
  readonly effect: Extract<Effect, { verdict: 'counted' }>;
}

/** `recordBytes`: records are padded to this size; those that are larger stay as they are. */
export function makeTemplates(options: { readonly seed: number; readonly recordBytes: number }): Template[] {
  const generator = createGenerator({ seed: options.seed, startMs: Date.UTC(2026, 0, 1), garbageShare: 0, resendShare: 0 });
  const templates: Template[] = [];
  while (templates.length < TEMPLATES) {
    const template = templateOf(generator.next(), options.recordBytes);
    if (template !== null) templates.push(template);
  }
  return templates;
}

const single = (text: string, pattern: RegExp): RegExpExecArray | null => {
  const [first, ...others] = text.matchAll(pattern);
  return first === undefined || others.length > 0 ? null : first;
};

function templateOf({ body, method, kind, effect }: GeneratedMessage, recordBytes: number): Template | null {
  if (method !== 'POST' || kind === 'skan' || effect.verdict !== 'counted' || body.includes('\n')) return null;
  const user = single(body, /"appsflyer_id":"([^"]+)"/g);
  const time = single(body, /"event_time":"[^"]{23}"/g);
  const name = single(body, /"event_name":"/g);
  if (user === null || time === null || name === null) return null;
  let text = body.replace(user[0], `"appsflyer_id":"${USER_TEXT}"`);
  // The padding is a field with a name and quotes of its own.
  const missing = recordBytes - Buffer.byteLength(text) - ',"af_sub5":""'.length;
  if (missing > 0) text = `${text.slice(0, -1)},"af_sub5":"${'x'.repeat(missing)}"}`;
  const bytes = Buffer.from(text);
  const after = (key: string): number => bytes.indexOf(key) + Buffer.byteLength(key);
  return { bytes, userAt: after('"appsflyer_id":"') + USER_TEXT.length - USER_DIGITS, timeAt: after('"event_time":"'), nameKeyAt: bytes.indexOf('"event_name":"') + 1, effect };
}

/** Which template record number `number` is made from: spread by Fibonacci hashing. */
export const templateIndexOf = (number: number): number => (Math.imul(number, 2_654_435_769) >>> 0) % TEMPLATES;

/** Puts the record at `at` and returns where it ends. `time` is its event time as {@link timeBytes}. */
export function writeRecord(target: Buffer, at: number, template: Template, number: number, time: Buffer): number {
  const { bytes, userAt, timeAt } = template;
  bytes.copy(target, at);
  let rest = number;
  for (let digit = at + userAt + USER_DIGITS - 1; digit >= at + userAt; digit--) {
    const quotient = Math.floor(rest / 10);
    target[digit] = ZERO + rest - quotient * 10;
    rest = quotient;
  }
  time.copy(target, at + timeAt, 0, TIME_LENGTH);
  return at + bytes.byteLength;
}

/** Makes what {@link writeRecord} put at `at` a record without an event name: rejected, and no event at all. */
export function damageRecord(target: Buffer, at: number, template: Template): void {
  target[at + template.nameKeyAt] = DAMAGED;
}

export const timeBytes = (timeMs: number): Buffer => Buffer.from(new Date(timeMs).toISOString().replace('T', ' ').slice(0, TIME_LENGTH));
