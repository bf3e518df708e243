/**
 * What an app's own parameters say: `event_value` is a string that holds a JSON object, and in practice also an object that nobody made a string
 * of, a string that was encoded twice, or JSON that was cut in the middle.
 *
 * Read on rare ways alone: for a user that no field names, and for the amount of messages that have no field for it. Pure; never raises.
 */

import { topLevelTokens } from '../../engine/core/json-tokens.ts';
import { isPlaceholder } from './placeholders.ts';

/** Longer texts are not looked into: AppsFlyer cuts parameters after 1,000 characters. */
const LOOKED_INTO_MAX = 65_536;
/** A longer id names nobody. */
const USER_LENGTH_MAX = 512;
/** How often a text may have been encoded on top of the first time. */
const ENCODINGS_MAX = 2;
/** Under which names apps send their own user id, in order of preference; and where Android and iOS of one app nest differently, the object that holds it. */
export const USER_PARAMETERS = ['customer_user_id', 'user_id', 'userId'] as const;
export const NESTED_PARAMETERS = 'params';

const USER_NAMES: ReadonlySet<string> = new Set([...USER_PARAMETERS, NESTED_PARAMETERS]);

/** The JSON text of the object of parameters, however often it was encoded; null where there is none that is whole. */
export function parametersOf(text: string): string | null {
  if (text.length > LOOKED_INTO_MAX) return null;
  let current = text;
  for (let encodings = 0; encodings <= ENCODINGS_MAX; encodings++) {
    const value = parse(current);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return current;
    if (typeof value !== 'string') return null;
    current = value;
  }
  return null;
}

/** One parameter of the object that `parameters` is: a string's characters, of a number the text as it was sent; '' for anything else. */
export function parameterOf(parameters: string, name: string): string {
  return plainText(topLevelTokens(parameters, new Set([name])).get(name));
}

/** The user that an event_value names, or ''. The door and the identity ask this alike. */
export function userOfEventValue(text: string): string {
  const parameters = parametersOf(text);
  if (parameters === null) return '';
  const tokens = topLevelTokens(parameters, USER_NAMES);
  const user = userOf(tokens);
  if (user !== '') return user;
  const nested = tokens.get(NESTED_PARAMETERS);
  return nested === undefined || !nested.startsWith('{') ? '' : userOf(topLevelTokens(nested, USER_NAMES));
}

function userOf(tokens: ReadonlyMap<string, string>): string {
  for (const name of USER_PARAMETERS) {
    const user = plainText(tokens.get(name));
    if (user.length <= USER_LENGTH_MAX && !isPlaceholder(user)) return user;
  }
  return '';
}

function plainText(token: string | undefined): string {
  if (token === undefined) return '';
  if (token.startsWith('"')) return JSON.parse(token) as string;
  return /^[-\d]/.test(token) ? token : '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
