/**
 * A privacy policy at work: what of an event's personal fields may leave for the lake, and what of a record's bytes may be shown.
 *
 * Identity, partition and totals are computed from what was sent and know nothing of it. A function of event, policy, secret and log time, so
 * that a lake slot encoded again has the same bytes. What cannot be read well enough to find the personal parts in it is left out whole.
 *
 * Used in pool threads and by the admin server; one per thread and rules. The secret is asked for when the first value is hashed.
 */

import type { TextBytes } from '../../../engine/core/pipeline.ts';
import type { AppsflyerEvent } from '../event.ts';
import type { FieldTable } from '../field-table.ts';
import { Field, FIELD_NAMES } from '../fields.ts';
import { truncateAddress } from './address.ts';
import { KeyedHash } from './keyed-hash.ts';
import { EVENT_VALUE, type Policy, type PrivacyAction } from './policy.ts';
import { isJson, mentions, rewriteJson } from './rewrite-json.ts';

const NOTHING = 'null';

export class Shield {
  readonly #policy: Policy;
  readonly #secretOf: (id: string) => Uint8Array;
  /** By field number. */
  readonly #actions: readonly (PrivacyAction | undefined)[];
  /** Of a record's top-level members. */
  readonly #memberActions: ReadonlyMap<string, PrivacyAction | 'open'>;
  #hash: KeyedHash | null = null;
  #receivedAtMs = 0;

  constructor(policy: Policy, secretOf: (id: string) => Uint8Array) {
    this.#policy = policy;
    this.#secretOf = secretOf;
    this.#actions = FIELD_NAMES.map((name) => policy.fields.get(name));
    const opened = policy.keys.size > 0 && (policy.fields.get(EVENT_VALUE) ?? 'keep') === 'keep';
    this.#memberActions = new Map<string, PrivacyAction | 'open'>([...policy.fields, ...(opened ? [[EVENT_VALUE, 'open'] as const] : [])]);
  }

  /** From now on the event's lake columns ask here. */
  begin(event: AppsflyerEvent, receivedAtMs: number): void {
    event.shield = this;
    this.#receivedAtMs = receivedAtMs;
  }

  /** What may be shown in place of a field's text; '' for nothing. */
  text(field: Field, text: string): string {
    const action = this.#actions[field];
    return action === undefined || text === '' ? text : (this.#apply(action, text) ?? '');
  }

  /** The same for a field that is there, as it lies in the table. */
  bytes(field: Field, fields: FieldTable): string | TextBytes | null {
    const action = this.#actions[field];
    return action === undefined || action === 'keep' ? fields.range(field) : this.#apply(action, fields.text(field));
  }

  /** Of event_properties, which are `json`. */
  properties(json: string | TextBytes, event: AppsflyerEvent): string | TextBytes | null {
    const action = this.#actions[Field.eventValue];
    if (action !== undefined && action !== 'keep') return action === 'hash' ? JSON.stringify(this.#apply('hash', event.eventValue())) : null;
    const { keys } = this.#policy;
    if (keys.size === 0) return json;
    const text = event.eventValue();
    if (!mentions(text, keys)) return json;
    // A string in place of an object: the message's own text was cut, and is no JSON.
    if (typeof json === 'string') return null;
    return this.#opened(text);
  }

  /** A record's bytes as they may be shown; null for what is no JSON object. `receivedAtMs` is the record's. */
  record(text: string, receivedAtMs: number): string | null {
    if (!/^\s*\{/.test(text) || !isJson(text)) return null;
    this.#receivedAtMs = receivedAtMs;
    return rewriteJson(text, { actions: this.#memberActions, topOnly: true, replace: (action, token) => (action === 'open' ? this.#openedMember(token) : this.#replace(action, token)) });
  }

  /** `token` is event_value as a message carries it: an object, or a string that holds one. */
  #openedMember(token: string): string {
    if (!mentions(token, this.#policy.keys)) return token;
    if (!token.startsWith('"')) return this.#opened(token);
    const text = JSON.parse(token) as string;
    return isJson(text) ? JSON.stringify(this.#opened(text)) : NOTHING;
  }

  #opened(json: string): string {
    return rewriteJson(json, { actions: this.#policy.keys, replace: (action, token) => this.#replace(action, token) });
  }

  /** Of a JSON value: null stays, an empty text too, and what is no text counts as its own JSON. */
  #replace(action: PrivacyAction, token: string): string {
    if (action === 'keep' || token === NOTHING || token === '""') return token;
    const shown = this.#apply(action, token.startsWith('"') ? (JSON.parse(token) as string) : token);
    return shown === null ? NOTHING : JSON.stringify(shown);
  }

  #apply(action: PrivacyAction, text: string): string | null {
    switch (action) {
      case 'keep':
        return text;
      case 'hash':
        return this.#hashed(text);
      case 'truncate':
        return truncateAddress(text);
      case 'drop':
        return null;
    }
  }

  #hashed(text: string): string {
    const { secret, rotationDays } = this.#policy;
    this.#hash ??= new KeyedHash(this.#secretOf(secret as string), rotationDays);
    return this.#hash.of(text, this.#receivedAtMs);
  }
}
