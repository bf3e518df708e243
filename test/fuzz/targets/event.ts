/** The event: the scanner against the reference, the reference against JSON.parse, and one identity for one meaning. */

import { isUtf8 } from 'node:buffer';
import { createDecoder } from '../../../actors/appsflyer/decode.ts';
import { decodeReference } from '../../../actors/appsflyer/decode-reference.ts';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { eventProperties } from '../../../actors/appsflyer/event-properties.ts';
import type { FieldTable } from '../../../actors/appsflyer/field-table.ts';
import { type Field, FIELD_NAMES } from '../../../actors/appsflyer/fields.ts';
import { IdentityWriter } from '../../../actors/appsflyer/identity.ts';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { Scanner } from '../../../actors/appsflyer/scan/scanner.ts';
import { hash32 } from '../../../engine/core/hash.ts';
import { createPartitioner } from '../../../engine/core/partition-key.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { textOf } from '../../support/text-bytes.ts';
import { embed, Random } from '../json-bytes.ts';
import { messageBytes } from '../mutate-json.ts';
import { type FuzzTarget, requireEqual } from '../target.ts';
import { quoteNumbers } from './door.ts';

const seedOf = (input: Buffer): number => hash32(input, 0, input.byteLength, 2);

const fieldsOf = (table: FieldTable): Record<string, string> =>
  Object.fromEntries(FIELD_NAMES.map((name, field) => [name, table.has(field as Field) ? table.text(field as Field) : '(absent)']));

/** {@link Scanner.scan} of the scanner. */
export type Scan = (scanner: Scanner, bytes: Buffer, start: number, end: number) => boolean;

/** How often the scanner was sure, and how many inputs were messages: without either the target would prove nothing. */
export interface DecodeTally {
  sure: number;
  valid: number;
}

export function decodeTarget(scan: Scan = (scanner, bytes, start, end) => scanner.scan(bytes, start, end), tally: DecodeTally = { sure: 0, valid: 0 }): FuzzTarget {
  const scanner = new Scanner();
  const [fast, slow] = [scanner.fields, new Scanner().fields];
  return {
    name: 'decode',
    generate: messageBytes,
    check(input) {
      const { bytes, start, end } = embed(input, new Random(seedOf(input)));
      const isSure = scan(scanner, bytes, start, end);
      const rejected = decodeReference(bytes, start, end, slow);
      requireEqual(rejected, verdictOf(input), 'verdict of the reference');
      if (rejected === null) {
        tally.valid++;
        requireEqual(fieldsOf(slow), plainFields(input), 'fields of the reference');
      }
      if (!isSure) return;
      tally.sure++;
      requireEqual(rejected, null, 'verdict of the scanner');
      requireEqual(fieldsOf(fast), fieldsOf(slow), 'fields of the scanner');
    },
  };
}

function verdictOf(input: Buffer): 'NOT_JSON' | 'NOT_OBJECT' | null {
  try {
    if (!isUtf8(input)) return 'NOT_JSON';
    const value: unknown = JSON.parse(input.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'NOT_OBJECT';
  } catch {
    return 'NOT_JSON';
  }
}

const EVENT_VALUE = 'event_value';
const plain = new Scanner();

/** The fields as a plain reading has them. An `event_value` that is no string is left to the reference: its raw text cannot be had from JSON.parse. */
function plainFields(input: Buffer): Record<string, string> {
  const body = JSON.parse(quoteNumbers(input.toString())) as Record<string, unknown>;
  const table = plain.fields;
  decodeReference(input, 0, input.byteLength, table);
  return Object.fromEntries(
    FIELD_NAMES.map((name, field) => {
      const value = Object.hasOwn(body, name) ? body[name] : null;
      if (name === EVENT_VALUE && typeof value === 'object' && value !== null) return [name, table.has(field as Field) ? table.text(field as Field) : '(absent)'];
      const text = typeof value === 'string' ? Buffer.from(value).toString() : typeof value === 'boolean' ? String(value) : '';
      return [name, text === '' || text === 'N/A' || text === 'NULL' ? '(absent)' : text];
    }),
  );
}

/** A text as JSON in one of the ways that mean the same. */
function spell(random: Random, text: string): string {
  const json = JSON.stringify(text);
  if (random.below(2) === 0) return json;
  return `"${[...json.slice(1, -1)].map((character) => (/[A-Za-z0-9]/.test(character) && random.below(6) === 0 && !json.includes('\\') ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : character)).join('')}"`;
}

/** The same members in another order, spelling and spacing; a number or boolean also as a string. Null where the text cannot be had again. */
function respelled(input: Buffer, random: Random): Buffer | null {
  const body = JSON.parse(quoteNumbers(input.toString())) as Record<string, string | boolean | object | null>;
  const plain = JSON.parse(input.toString()) as Record<string, unknown>;
  const space = (): string => random.pick(['', '', ' ', '\n', '\t ']);
  const members: string[] = [];
  for (const [key, value] of Object.entries(body)) {
    if (typeof value === 'object' && value !== null) return null;
    const isNumber = typeof plain[key] === 'number';
    const token = value === null ? 'null' : isNumber && random.below(2) === 0 ? String(value) : typeof value === 'boolean' && random.below(2) === 0 ? String(value) : spell(random, String(value));
    const at = random.below(members.length + 1);
    members.splice(at, 0, `${space()}${spell(random, key)}${space()}:${space()}${token}${space()}`);
  }
  return Buffer.from(`{${members.join(',')}}`);
}

interface Meaning {
  readonly verdict: string;
  /** Of the event, or nothing. */
  readonly derived: readonly unknown[];
  readonly identities: readonly string[];
  readonly partition: number;
}

export type PartitionOf = (bytes: Buffer) => number;

const derivedOf = (event: AppsflyerEvent): readonly unknown[] => [
  event.timeMs, event.action, event.eventType, event.isPrimary, event.isSecondary, event.appId, event.eventName, event.campaignId, event.campaignIdKind, event.campaign, event.platform,
  event.mediaSource, event.country, event.device, event.attribution, event.conversionType, event.userField, event.revenueMicros, event.isPriced, event.isUnpriced, textOf(event.userId()), textOf(eventProperties(event)), event.eventSource(), event.eventValue(),
];

/** The same message with an escaped key in it, which the scanner leaves to the reference decoder. */
const withObject = (input: Buffer): Buffer => {
  const text = input.toString().trimEnd();
  return Buffer.from(`${text.slice(0, -1)}${/^\s*\{\s*\}$/.test(text) ? '' : ','}"anothe\\u0072":{}}`);
};

/** `changeIdentity`: for planted bugs. */
export function identityTarget(changeIdentity: (text: string, bytes: Buffer) => string = (text) => text): FuzzTarget {
  const decode = createDecoder();
  const identity = new IdentityWriter();
  const partitioner = createPartitioner(appsflyerPipeline.partitionKey, 65_521);
  const fingerprint = new Uint32Array(4);
  const meaningOf = (bytes: Buffer): Meaning => {
    const event = decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
    if (typeof event === 'string') return { verdict: event, derived: [], identities: [], partition: 0 };
    const identities = (['push-ms', 'push+pull-seconds'] as const).flatMap((mode) => {
      identity.fingerprint(event, mode, fingerprint);
      return [changeIdentity(identity.text(event, mode), bytes), fingerprint.join()];
    });
    partitioner.locate(bytes, 0, bytes.byteLength);
    // Without a user the partition is that of the bytes: these change here.
    return { verdict: 'event', derived: derivedOf(event), identities, partition: event.userField < 0 ? 0 : partitioner.partition };
  };
  return {
    name: 'identity',
    generate: messageBytes,
    check(input) {
      if (verdictOf(input) !== null) return;
      const other = respelled(input, new Random(seedOf(input)));
      const meaning = meaningOf(input);
      if (other !== null) requireEqual(meaningOf(other), meaning, `the same meaning, spelled ${other.toString().slice(0, 2_000)}`);
      requireEqual({ ...meaningOf(withObject(input)), partition: 0 }, { ...meaning, partition: 0 }, 'the meaning that the reference decoder finds');
    },
  };
}
