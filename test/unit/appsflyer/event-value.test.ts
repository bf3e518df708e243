import { describe, expect, it } from 'vitest';
import { parameterOf, parametersOf, userOfEventValue } from '../../../actors/appsflyer/event-value.ts';

const twice = (text: string): string => JSON.stringify(text);

describe('parameters', () => {
  it.each([
    ['{"a":1}', '{"a":1}'],
    [' {"a":1} ', ' {"a":1} '],
    [twice('{"a":1}'), '{"a":1}'],
    [twice(twice('{"a":1}')), '{"a":1}'],
    [twice(twice(twice('{"a":1}'))), null],
    ['', null],
    ['{"a":', null],
    ['[1]', null],
    ['null', null],
    ['7', null],
    ['plain', null],
    [`{"a":"${'x'.repeat(70_000)}"}`, null],
  ])('of %j are %j', (text, parameters) => {
    expect(parametersOf(text)).toBe(parameters);
  });

  it.each([
    ['{"a":"x"}', 'x'],
    ['{"a":"\\u00e9"}', 'é'],
    ['{"a":12345678901234567890}', '12345678901234567890'],
    ['{"a":-1.50}', '-1.50'],
    ['{"a":true}', ''],
    ['{"a":null}', ''],
    ['{"a":{"a":"x"}}', ''],
    ['{"b":{"a":"x"}}', ''],
    ['{"a":"x","a":"y"}', 'y'],
  ])('hold of %s, under a, %j', (parameters, text) => {
    expect(parameterOf(parameters, 'a')).toBe(text);
  });
});

describe('the user inside event_value', () => {
  it.each([
    ['{"user_id":"u"}', 'u'],
    ['{"userId":7}', '7'],
    ['{"user_id":"a","customer_user_id":"b"}', 'b'],
    ['{"customer_user_id":"0","user_id":"u"}', 'u'],
    ['{"params":{"user_id":"u"}}', 'u'],
    ['{"params":{"user_id":"p"},"user_id":"u"}', 'u'],
    ['{"params":"user_id"}', ''],
    ['{"user_id":true}', ''],
    ['{"user_id":"null"}', ''],
    [`{"user_id":"${'u'.repeat(513)}"}`, ''],
    ['{"other":"u"}', ''],
  ])('of %s is %j', (text, user) => {
    expect(userOfEventValue(text)).toBe(user);
  });
});
