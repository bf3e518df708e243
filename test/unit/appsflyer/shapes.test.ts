import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../actors/appsflyer/decode.ts';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { eventProperties } from '../../../actors/appsflyer/event-properties.ts';
import { FIELD_NAMES, fieldName } from '../../../actors/appsflyer/fields.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { FIELD_RULES, PARAMETER, type FieldRule, type Shape } from '../../../actors/appsflyer/shapes.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { textOf } from '../../support/text-bytes.ts';
import { CONTRACT_ROWS, RECEIVED_AT_MS, type ContractRow } from './contract-rows.ts';
import { encode, PURCHASE, variant } from './messages.ts';
import { NEEDED_FIELDS, PUSH_FIELDS } from './push-fields.ts';

const RULES = pipeline.domainRules(null);
const decodeOne = createDecoder();
const decode = (message: unknown, source: number = RecordSource.push): AppsflyerEvent | string => {
  const bytes = encode(message);
  return decodeOne(bytes, 0, bytes.byteLength, source, RECEIVED_AT_MS);
};
const accepted = (message: unknown, source?: number): AppsflyerEvent => {
  const event = decode(message, source);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  return event;
};

describe('the data contracts', () => {
  const outcomeOf = ({ message, source }: ContractRow): object | string => {
    const event = decode(message, source);
    if (typeof event === 'string') return event;
    const measures = Object.fromEntries(pipeline.measures.map((measure) => [measure.name, measure.amount(event, RULES)] as const).filter(([, amount]) => amount !== 0));
    return { event: { ...event }, measures, user: textOf(event.userId()), properties: textOf(eventProperties(event)) };
  };

  it.each(CONTRACT_ROWS.map((row) => [row.row, row] as const))('%s', (_, row) => {
    const outcome = outcomeOf(row);
    if (typeof row.is === 'string' || typeof outcome === 'string') expect(outcome).toBe(row.is);
    else {
      const { measures, ...others } = row.is;
      expect(outcome).toMatchObject(others);
      if (measures !== undefined) expect((outcome as { measures: object }).measures).toEqual(measures);
    }
  });

  it('name each row once', () => {
    expect(new Set(CONTRACT_ROWS.map(({ row }) => row)).size).toBe(CONTRACT_ROWS.length);
  });
});

describe('the 114 fields of Push v2', () => {
  const all = Object.fromEntries(PUSH_FIELDS.map((name) => [name, PURCHASE[name] ?? `${name} value`]));

  it('are 114, and a message with all of them is taken', () => {
    expect(new Set(PUSH_FIELDS).size).toBe(114);
    expect(accepted(all)).toMatchObject({ eventName: 'af_purchase', campaignId: '21421952087', isAttributed: true });
  });

  it.each(PUSH_FIELDS.filter((name) => !NEEDED_FIELDS.includes(name)))('%s never rejects a message, whatever it holds', (name) => {
    for (const value of [undefined, null, '', 'N/A', true, 'true', 7, -1.5, 123456789012345678901, {}, [], 'é\u0000', 'x'.repeat(10_000)]) expect(typeof decode(variant(all, { [name]: value }))).toBe('object');
  });
});

const SOURCES: Readonly<Record<Shape, RecordSource>> = { s2s: RecordSource.s2s, v1: RecordSource.push, report: RecordSource.pull };
const BASES: Readonly<Record<Shape, Readonly<Record<string, unknown>>>> = {
  s2s: { app_id: 'com.example.shop', appsflyer_id: 'u', event_name: 'e', event_time: '2026-05-03 10:15:42' },
  v1: { app_id: 'com.example.shop', appsflyer_device_id: 'u', event_name: 'e', event_time: '2026-05-03 10:15:42' },
  report: { app_id: 'com.example.shop', appsflyer_id: 'u', event_name: 'e', event_time: '2026-05-03 10:15:42', millrace_kind: 'uninstall' },
};

/** A message that shows a rule, and the text that must come of it. */
function showing({ shape, field, from, when, values }: FieldRule): { message: object; text: string } {
  const sample = from === 'millrace_kind' ? 'uninstall' : fieldName(field).endsWith('_time') ? '2026-05-03 10:15:43' : '1.5';
  const [written, text] = values === undefined ? [sample, sample] : ([...values][0] as [string, string]);
  const base = Object.fromEntries(Object.entries(BASES[shape]).filter(([name]) => name !== fieldName(field)));
  const told = from.startsWith(PARAMETER) ? { event_value: JSON.stringify({ [from.slice(PARAMETER.length)]: written }) } : { [from]: written };
  return { message: { ...base, ...(when !== undefined && { [when.name]: when.is }), ...told }, text };
}

describe('the rules of other shapes', () => {
  it.each(FIELD_RULES.map((rule) => [rule.shape, rule.from, FIELD_NAMES[rule.field] as string, rule] as const))('%s: %s stands for %s', (shape, _from, _name, rule) => {
    const { message, text } = showing(rule);
    expect(accepted(message, SOURCES[shape]).fields.text(rule.field)).toBe(text);
  });

  it('give way to the Push name of their field', () => {
    for (const rule of FIELD_RULES) {
      const name = fieldName(rule.field);
      const own = name.endsWith('_time') ? '2026-05-03 10:15:44' : 'own';
      expect(accepted({ ...showing(rule).message, [name]: own }, SOURCES[rule.shape]).fields.text(rule.field), rule.from).toBe(own);
    }
  });

  it.each(FIELD_RULES.filter(({ when, values }) => when !== undefined || values !== undefined).map((rule) => [rule.from, rule] as const))('%s stands for nothing where its condition does not hold', (_, rule) => {
    const { message } = showing(rule);
    const other = { ...message, ...(rule.when !== undefined ? { [rule.when.name]: 'other' } : { [rule.from]: 'other' }) };
    const event = decode(other, SOURCES[rule.shape]);
    if (typeof event !== 'string') expect(event.fields.has(rule.field)).toBe(false);
    else expect(['NO_EVENT_NAME', 'BAD_EVENT_TIME']).toContain(event);
  });

  it('do not touch messages of Push v2', () => {
    for (const rule of FIELD_RULES) {
      const { message } = showing(rule);
      const v2 = { ...message, ...PURCHASE, millrace_kind: undefined };
      expect(accepted(v2)).toMatchObject({ eventName: 'af_purchase', campaignId: '21421952087', revenueMicros: 13_610_000, attribution: 'ua' });
    }
  });

  it('never raise, however long a text stands for two fields', () => {
    const long = 'x'.repeat(1_048_576 - 200);
    for (const message of [{ ...BASES.v1, event_name: undefined, event_type: long }, { ...BASES.s2s, event_value: undefined, eventValue: long }, { ...BASES.report, placement: long }, { app_id: 'a', event_name: 'e', event_time: '2026-05-03 10:15:42', event_value: `{"user_id":"${long}"}` }]) {
      for (const source of Object.values(RecordSource)) expect(() => decode(message, source)).not.toThrow();
    }
  });
});
