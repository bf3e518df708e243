/**
 * Device class, operating system and browser from a user agent: the only door to ua-parser-js (1.x, MIT).
 *
 * A function of the text alone, for one version of the parser: a newer one may say otherwise, so it is pinned, and a change of it raises the
 * pipeline's version. Reads the first {@link USER_AGENT_CHARACTERS_MAX} characters, whatever a sender puts there. Never raises.
 */

import UAParser from 'ua-parser-js';
import { BoundedCache } from '../../../engine/core/bounded-cache.ts';
import { dimensionValue } from '../../../engine/core/dimension-value.ts';

/** '' for what the text does not tell. */
export interface Agent {
  /** `phone`, `tablet`, `desktop`, `tv`, `console`, `wearable`, `other`: AppsFlyer's words for the first two. */
  readonly device: string;
  /** As the `platform` dimension writes it: `android`, `ios`, `windows`, `macos` … */
  readonly platform: string;
  readonly osVersion: string;
  /** Without its version. */
  readonly browser: string;
}

/** Chosen: the longest that browsers send is below 400; the parser itself reads 500. */
export const USER_AGENT_CHARACTERS_MAX = 500;

const DEVICES: Readonly<Record<string, string>> = { mobile: 'phone', tablet: 'tablet', smarttv: 'tv', console: 'console', wearable: 'wearable', embedded: 'other' };
/** Systems that run on nothing else. */
const DESKTOPS: ReadonlySet<string> = new Set(['Windows', 'Mac OS', 'Linux', 'Ubuntu', 'Debian', 'Fedora', 'Chromium OS']);
const PLATFORMS: Readonly<Record<string, string>> = { 'Mac OS': 'macos', 'Chromium OS': 'chromeos', 'Windows Phone': 'windowsphone' };

/** In each of two generations: a text costs 20 µs to read and is that of all users of a model. Chosen: 8 MB at most. */
const CACHED_MAX = 8_192;
/** Longer ones are read, but not kept. */
const CACHED_CHARACTERS_MAX = 512;
/** One per thread. */
const cache = new BoundedCache<Agent>(CACHED_MAX);

/** The same, kept for the next one that says so. */
export function agentOf(text: string): Agent {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const agent = readUserAgent(text);
  if (text.length <= CACHED_CHARACTERS_MAX) cache.set(text, agent);
  return agent;
}

export function readUserAgent(text: string): Agent {
  const { device, os, browser } = new UAParser(text.slice(0, USER_AGENT_CHARACTERS_MAX)).getResult();
  const system = os.name ?? '';
  return {
    device: DEVICES[device.type ?? ''] ?? (device.type === undefined && DESKTOPS.has(system) ? 'desktop' : ''),
    platform: PLATFORMS[system] ?? dimensionValue(system.toLowerCase()),
    osVersion: dimensionValue(os.version ?? ''),
    browser: dimensionValue(browser.name ?? ''),
  };
}
