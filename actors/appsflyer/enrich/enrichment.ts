/**
 * Fills in what a message lacks: place from its address, device and system from its user agent.
 *
 * A function of the event and the rules: files are named by hash and never change, so that a replay fills in the same. What AppsFlyer sent
 * stays, whatever a file says; only a field that is not there is filled. Look-ups happen where something is missing and somebody asks: an
 * actor thread asks for country, device and platform, the lake for all. What answers has a bounded cache.
 *
 * Hot path: 100 K records a second, at most 1 µs a record that lacks what is looked up; bench/micro/enrich.ts. One per partition and rules.
 */

import type { Place, PlaceLookup } from '../../../engine/core/rule-resources.ts';
import { UNKNOWN } from '../derivations.ts';
import type { AppsflyerEvent } from '../event.ts';
import { Field } from '../fields.ts';
import { agentOf, type Agent } from './user-agent.ts';

/** The longest text that can be an address: an IPv6 one with a dotted end. */
const ADDRESS_BYTES_MAX = 45;

const NO_PLACE: Place = { country: '', region: '', state: '', city: '' };
const NO_AGENT: Agent = { device: '', platform: '', osVersion: '', browser: '' };

export interface EnrichmentOptions {
  /** Null: nothing is looked up by address. */
  readonly places: PlaceLookup | null;
  readonly readsUserAgent: boolean;
}

export class Enrichment {
  readonly #places: PlaceLookup | null;
  readonly #readsUserAgent: boolean;
  /** Of the event at hand; null until somebody asks. */
  #place: Place | null = null;
  #agent: Agent | null = null;

  constructor({ places, readsUserAgent }: EnrichmentOptions) {
    this.#places = places;
    this.#readsUserAgent = readsUserAgent;
  }

  /** Begins with an event, and fills in its dimensions. */
  enrich(event: AppsflyerEvent): void {
    const { fields } = event;
    event.enrichment = this;
    this.#place = null;
    this.#agent = null;
    if (!fields.has(Field.countryCode)) event.country = this.placeOf(event).country || event.country;
    if (!fields.has(Field.deviceCategory)) event.device = this.agentOf(event).device || event.device;
    if (event.platform === UNKNOWN && !fields.has(Field.platform)) event.platform = this.agentOf(event).platform || UNKNOWN;
  }

  /** Of the event that was begun with last. */
  placeOf(event: AppsflyerEvent): Place {
    return (this.#place ??= this.#findPlace(event));
  }

  /** Of the event that was begun with last. */
  agentOf(event: AppsflyerEvent): Agent {
    return (this.#agent ??= this.#readAgent(event));
  }

  #findPlace({ fields }: AppsflyerEvent): Place {
    if (this.#places === null || !fields.has(Field.ip) || fields.endOf(Field.ip) - fields.startOf(Field.ip) > ADDRESS_BYTES_MAX) return NO_PLACE;
    return this.#places.find(fields.text(Field.ip)) ?? NO_PLACE;
  }

  #readAgent({ fields }: AppsflyerEvent): Agent {
    return this.#readsUserAgent && fields.has(Field.userAgent) ? agentOf(fields.text(Field.userAgent)) : NO_AGENT;
  }
}
