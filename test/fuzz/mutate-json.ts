/**
 * A mutator that knows what JSON is made of: it changes a message token by token, so that most of its results are still JSON and reach
 * what lies behind the first check. Every third result is changed byte by byte as well.
 */

import { AWKWARD, mutate, type Random, realistic } from './json-bytes.ts';

/** Strings, numbers, words, marks, and the white space between them. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[a-z]+|[[\]{}:,]|\s+/g;
const KEYS = ['millrace_kind', 'event_type', 'placement', 'install_time', 'selected_currency', 'revenue_in_selected_currency', 'appsflyer_device_id', 'event_value', 'eventValue', 'eventName', 'eventTime', 'currency', 'attribution_type', 'fb_campaign_id', 're_targeting_conversion_type', 'api_version', 'event_revenue_usd', 'skad_revenue', 'skad_version', 'campaign', 'media_source', 'app_id', 'appsflyer_id', 'customer_user_id', 'advertising_id', 'idfa', 'idfv', 'android_id', 'amazon_aid', 'oaid', 'imei', 'event_uuid', 'event_name', 'event_time', 'event_value', 'event_revenue', 'is_primary_attribution', 'x', '__proto__', ''];
const VALUES = [
  '"constructor"', '"__proto__"', '"ad-revenue"', '"uninstall"', '"in-app-event"', '"organic"', '"USD"', '"install"',
  '""', '"u"', '"N/A"', '"NULL"', '"null"', '"0"', '"00000000-0000-0000-0000-000000000000"', '"\\u0041"', '"\\ud83d\\ude80"', '"\\ud800"', '"é"', '"東京"', '"\\/"', '"\\""', '"\\\\"', '"a\\tb"', '"app_id"', '"appsflyer_id"',
  '",\\"app_id\\":\\"q\\""', '"{"', '"}"', '"{ "', '"\\u00e9"', 'null', 'true', 'false', '0', '-0', '7', '1e400', '1E+2', '-1.50', '9007199254740993', '123456789012345678901234567890', '[]', '{}', '[{}]', '[{"app_id":"in"}]',
  '{"app_id":"in","appsflyer_id":"in"}', '{ "appsflyer_id":"in"}', '{"a":{"b":[1,{"idfa":"in"}]}}', '["app_id"]', '["x","app_id","y"]',
];
/** Parameters: whole, encoded twice, not encoded, cut; with a user, an amount, or neither. */
export const PARAMETERS = [
  '"{\\"user_id\\":\\"h1\\"}"', '"{\\"user_id\\":12345678901234567890}"', '"{\\"params\\":{\\"user_id\\":\\"h\\u00e9\\"}}"', '"\\"{\\\\\\"user_id\\\\\\":\\\\\\"h1\\\\\\"}\\""', '{"user_id":"h1"}', '{"params":{"customer_user_id":7}}',
  '"{\\"user_id\\":\\"0\\",\\"userId\\":\\"h2\\"}"', '"{\\"user_id\\":\\"h1"', '"{\\"af_revenue\\":1.5,\\"af_currency\\":\\"USD\\"}"', '"{\\"af_revenue\\":\\"-3\\"}"', '"{\\"af_revenue\\":1"', '"{}"', '"[]"', '"{\\"user_id\\":\\"\\\\ud800\\"}"',
];
const SPACES = [' ', '\n', '\r\n', '\t', '  ', '\n\n\t '];

/** Megabytes and nesting beyond a stack are for the tests that name them: here they would take the time of all others. */
const SHORT = AWKWARD.filter((body) => body.length < 1_000);

const tokensOf = (text: string): string[] => text.match(TOKENS) ?? [];

/** One character of a string token in another spelling. */
function escapeOne(random: Random, token: string): string {
  const at = 1 + random.below(Math.max(1, token.length - 2));
  const character = token[at];
  if (character === undefined || character === '"' || token.includes('\\')) return token;
  const code = character.charCodeAt(0).toString(16).padStart(4, '0');
  return `${token.slice(0, at)}\\u${random.below(2) === 0 ? code : code.toUpperCase()}${token.slice(at + 1)}`;
}

/** Amounts and ids that end or begin with what stands next to a number: texts may lie side by side in memory. */
const AMOUNTS = ['"1e"', '"1.5e"', '"2e+"', '"2.50"', '"-3"', '4', '"5e1"'];
const IDS = ['"-5"', '"+6"', '"u"', '"7"'];

function valueOf(random: Random, key: string): string {
  if (random.below(2) === 0) return random.pick(VALUES);
  if (key.toLowerCase().replace('_', '') === 'eventvalue') return random.pick(PARAMETERS);
  return key.includes('revenue') ? random.pick(AMOUNTS) : random.pick(IDS);
}

function member(random: Random): string {
  const key = random.pick(KEYS);
  return `"${key}"${random.below(4) === 0 ? random.pick(SPACES) : ''}:${random.below(4) === 0 ? random.pick(SPACES) : ''}${valueOf(random, key)}`;
}

/** A short object of members that matter, often with one key twice. */
function small(random: Random): string {
  const members = Array.from({ length: random.below(7) }, () => member(random));
  if (random.below(2) === 0) members.push(`"app_id":"a"`);
  if (random.below(2) === 0) members.push(`"appsflyer_id":"u${random.below(3)}"`);
  // An event with an amount, whatever the others are.
  if (random.below(2) === 0) members.unshift(`"event_name":"e"`, `"event_time":"2026-05-03 10:15:42.318"`, `"event_revenue_usd":${random.pick(AMOUNTS)}`, `"appsflyer_id":${random.pick(IDS)}`);
  if (members.length > 1 && random.below(4) === 0) members.push(random.pick(members));
  return `{${members.join(random.pick([',', ',', ' , ', ',\n']))}}`;
}

function change(random: Random, tokens: string[]): void {
  const at = random.below(Math.max(1, tokens.length));
  const token = tokens[at] ?? '';
  switch (random.below(9)) {
    case 0:
      tokens.splice(at, 1);
      break;
    case 1:
      tokens.splice(at, 0, token);
      break;
    case 2: {
      const other = random.below(tokens.length);
      [tokens[at], tokens[other]] = [tokens[other] ?? '', token];
      break;
    }
    case 3:
      tokens.splice(at, 0, random.pick(SPACES));
      break;
    case 4: {
      // Of any string from here on, key or value.
      const string = tokens.findIndex((each, index) => index >= at && each.startsWith('"') && each.length > 2);
      if (string >= 0) tokens[string] = escapeOne(random, tokens[string] as string);
      break;
    }
    case 5: {
      const colon = tokens.indexOf(':', at);
      if (colon >= 0 && colon + 1 < tokens.length) tokens[colon + 1] = random.pick(VALUES);
      break;
    }
    case 6: {
      const comma = tokens.indexOf(',', at);
      if (comma >= 0) tokens.splice(comma, 0, `,${member(random)}`);
      break;
    }
    case 7: {
      // The tail of another message.
      const other = tokensOf(realistic(random));
      const comma = tokens.indexOf(',', at);
      const otherComma = other.indexOf(',', random.below(other.length));
      if (comma >= 0 && otherComma >= 0) tokens.splice(comma, tokens.length, ...other.slice(otherComma));
      break;
    }
    default: {
      const key = tokens.findIndex((each, index) => index > at && tokens[index + 1] === ':' && each.startsWith('"'));
      if (key >= 0) tokens[key] = `"${random.pick(KEYS)}"`;
    }
  }
}

/** A message, or what was one. */
export function messageBytes(random: Random): Buffer {
  const kind = random.below(10);
  if (kind === 0) return mutate(random, realistic(random));
  if (kind === 1) return Buffer.from(random.pick(SHORT));
  const tokens = tokensOf(kind < 6 ? small(random) : realistic(random));
  for (let count = random.below(5); count > 0; count--) change(random, tokens);
  const text = tokens.join('');
  return kind % 3 === 0 ? mutate(random, text) : Buffer.from(text);
}
