/**
 * What a pipeline declares, and nothing of how it runs: the engine folds any pipeline of this shape.
 *
 * One file under actors/ declares dimensions, measures, windows, identity and partition key; `/v1/definitions`, the lake's
 * columns and every sink's row shape are generated from it.
 */

import type { RecordUsers } from './erasure.ts';
import type { RejectCode } from './record.ts';
import type { RuleResources } from './rule-resources.ts';
import type { DedupeMode } from './rules.ts';

/** What a person needs to know of a dimension or measure. */
export interface Meaning {
  readonly title: string;
  readonly formula: string;
  readonly sourceFields: readonly string[];
  /** What AppsFlyer's own reports call it, where they do. */
  readonly externalName?: string;
}

export interface DimensionDefinition<Event> {
  readonly name: string;
  readonly of: (event: Event) => string;
  /** Default limit of distinct values (see Rules.dimensionLimits). */
  readonly valuesMax: number;
  readonly meaning: Meaning;
}

/** Distinct values allowed, by dimension name. */
export type DimensionLimits = Readonly<Record<string, number>>;

export interface MeasureDefinition<Event, DomainRules> {
  readonly name: string;
  /** `count` is a whole number; `micros` is money in millionths, shown by sinks as a decimal too (`revenue_micros` → `revenue`). */
  readonly unit: 'count' | 'micros';
  /** What one event adds; 0 for nothing. A safe integer, may be negative. */
  readonly amount: (event: Event, rules: DomainRules) => number;
  /** The measure that counts the events whose amount would carry a total past what can be summed exactly; they add nothing here. */
  readonly overflowMeasure?: string;
  readonly meaning: Meaning;
}

/** Counts split by a name from a bounded list, such as conversions by event name. */
export interface BreakdownDefinition<Event, DomainRules> {
  readonly name: string;
  /** The name to count under, or null for none. */
  readonly nameOf: (event: Event, rules: DomainRules) => string | null;
  readonly meaning: Meaning;
}

/** A text shown beside a cell, not part of its key: the one with the latest event time wins (ties: the greater text). */
export interface LabelDefinition<Event> {
  readonly name: string;
  readonly of: (event: Event) => string;
  readonly meaning: Meaning;
}

export type LakeColumnType = 'text' | 'dictionary' | 'timestamp_micros' | 'decimal_micros' | 'boolean';

/** A text as the UTF-8 bytes `[start, end)` of a view on memory that is used again: to be copied before the next is asked for. */
export interface TextBytes {
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

/** What the lake adds to an event: facts of the fold, not of the message. May be one reused object, like the event. */
export interface LakeContext {
  /** 32 hex digits, or `p<partition>-<sequence>` with dedupe `none`. */
  readonly eventId: string | TextBytes;
  readonly late: boolean;
  readonly receivedAtMs: number;
}

export interface LakeColumn<Event> {
  readonly name: string;
  readonly type: LakeColumnType;
  /** text: string, or its bytes where that saves one; dictionary: string; timestamp: epoch **milliseconds**; decimal: micros; null where there is none. */
  readonly of: (event: Event, context: LakeContext) => string | TextBytes | number | boolean | null;
}

/** A window of event time. Judged windows close and then call records late; the others take whatever is accepted or late. */
export interface WindowDefinition {
  readonly kind: 'hour' | 'day';
  readonly sizeMs: number;
  readonly judged: boolean;
}

/** Counts by name of what came lately, for warnings that need the records of all threads. Bounded; no part of the state, gone with its thread. */
export type SightingCounts = Readonly<Record<string, number>>;

export interface Sightings<Event> {
  /** Called for records that are compared across sources. */
  readonly see: (event: Event, source: number) => void;
  readonly counts: () => SightingCounts;
  /** What somebody should know, given the counts of all threads. */
  readonly alarms: (counts: Iterable<SightingCounts>) => string[];
}

/** How the door finds whose a record is, without parsing: the partition is the hash of `scope` and the first of `users` that is there. */
export interface PartitionKeySpec {
  /** A top-level key, such as the app. */
  readonly scope: string;
  /** Top-level keys in order of preference. */
  readonly users: readonly string[];
  /** True for a value that stands for no user (all zeros, `null`, ...). Given the value as text, trimmed of nothing. */
  readonly isPlaceholder: (value: string) => boolean;
  /** Where a user may hide when no key of `users` names one: such records are rare, and are parsed at the door. */
  readonly hiddenUser?: HiddenUserSpec;
}

export interface HiddenUserSpec {
  /** Top-level keys in order of preference. */
  readonly keys: readonly string[];
  /** The user in the value of one, '' for none. Given a string's characters, and of a number or an object the text as it was sent. Never raises. */
  readonly userOf: (text: string) => string;
}

export interface PipelineDefinition<Event, DomainRules> {
  readonly name: string;
  /** Raised with any change that could change a verdict or a cell; journaled with the rules. */
  readonly version: number;
  readonly partitionKey: PartitionKeySpec;
  readonly windows: readonly WindowDefinition[];
  /** The first one is the result key: cells sort by it within a window, and keyed sinks use it. */
  readonly dimensions: readonly DimensionDefinition<Event>[];
  readonly measures: readonly MeasureDefinition<Event, DomainRules>[];
  readonly breakdown: BreakdownDefinition<Event, DomainRules>;
  readonly labels: readonly LabelDefinition<Event>[];
  readonly lakeColumns: readonly LakeColumn<Event>[];
  /** Parses `rules.domain`; raises on what it does not know, and RULE_RESOURCE_MISSING for what it names and `resources` do not have. */
  readonly domainRules: (raw: unknown, resources?: RuleResources) => DomainRules;
  /** The part of `rules.domain` that the lake's columns obey, as JSON text, readable by `domainRules`; '' for none. Where it changes a lake slot ends. */
  readonly lakeRules?: (raw: unknown) => string;
  /**
   * Decodes and validates one record; `source`, one of RecordSource, says whose words it holds, `receivedAtMs` when its batch was received: the
   * time of an event that names none. The event may be one reused object: it is valid until the next call. Never raises, whatever the bytes.
   */
  readonly decode: (bytes: Buffer, start: number, end: number, source: number, receivedAtMs: number) => Event | RejectCode;
  /** Whose a record may be, also one that cannot be decoded, for erasures; without it nobody is found. Never raises. */
  readonly recordUsers?: (bytes: Buffer, start: number, end: number) => RecordUsers;
  /** The scope (see {@link PartitionKeySpec}) of an event, as its cells and its lake columns name it: what a purge goes by. */
  readonly scopeOf?: (event: Event) => string;
  /** Why the rules of its offset do not let a decoded record in, or null; judged before its time and identity. */
  readonly refuse?: (event: Event, rules: DomainRules) => RejectCode | null;
  /** Epoch ms of the event. */
  readonly eventTimeMs: (event: Event) => number;
  /**
   * Writes the key by which the event is known again (dedupe-key.ts); false when it has none. `out`: length 4. All modes have keys of one kind:
   * a change of mode forgets nothing.
   */
  readonly dedupeKey: (event: Event, mode: DedupeMode, out: Uint32Array) => boolean;
  /**
   * Writes what stood in the place of a key in states of format 1: a fingerprint of the mode that was in force, for one mode after the other
   * (`attempt` from 0); false when there is none (any more). Asked only while such a state is within the horizon.
   */
  readonly formerFingerprint?: (event: Event, mode: DedupeMode, attempt: number, out: Uint32Array) => boolean;
  /** What a thread has seen of its records, beside all state. */
  readonly sightings?: Sightings<Event>;
  /** Writes the 128-bit fingerprint of the event's identity, its name outside of the program; false when it has none. `out`: length 4. */
  readonly fingerprint: (event: Event, mode: DedupeMode, out: Uint32Array) => boolean;
  /**
   * Changes an event by what the rules of its offset say of it: whether and as what it counts, and what its other fields tell of those that were not
   * sent. Called for an event that counts, between its identity and its dimensions, and by the lake before its columns are read. Never raises.
   */
  readonly enrich?: (event: Event, rules: DomainRules) => void;
  /** From now on the event's lake columns show personal fields as the rules allow. Called by the lake before columns are read. */
  readonly shield?: (event: Event, rules: DomainRules, receivedAtMs: number) => void;
  /** A few words on an event for `tail` and the live page. */
  readonly describe: (event: Event) => Readonly<Record<string, string>>;
}

/** The parts of a pipeline that are data: safe to send to any thread and to give to sinks. */
export interface ResultSchema {
  readonly dimensions: readonly string[];
  readonly measures: readonly { readonly name: string; readonly unit: 'count' | 'micros' }[];
  readonly breakdown: string;
  readonly labels: readonly string[];
}

export const resultSchema = <Event, DomainRules>(pipeline: PipelineDefinition<Event, DomainRules>): ResultSchema => ({
  dimensions: pipeline.dimensions.map((dimension) => dimension.name),
  measures: pipeline.measures.map((measure) => ({ name: measure.name, unit: measure.unit })),
  breakdown: pipeline.breakdown.name,
  labels: pipeline.labels.map((label) => label.name),
});
