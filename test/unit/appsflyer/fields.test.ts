import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Field, FIELD_NAMES, fieldName } from '../../../actors/appsflyer/fields.ts';
import { isNullText, isPlaceholder, isPlaceholderBytes } from '../../../actors/appsflyer/placeholders.ts';
import { Scanner } from '../../../actors/appsflyer/scan/scanner.ts';

const scanner = new Scanner();
/** The fields that a message with this one key has. */
const fieldsOf = (key: string): readonly number[] => {
  const bytes = Buffer.from(JSON.stringify({ [key]: 'x' }));
  if (!scanner.scan(bytes, 0, bytes.byteLength)) throw new Error(`in doubt about ${key}`);
  return FIELD_NAMES.map((_, field) => field).filter((field) => scanner.fields.has(field as Field));
};

describe('field names', () => {
  it('stand in the order of their numbers', () => {
    expect(Object.values(Field)).toEqual(FIELD_NAMES.map((_, index) => index));
    const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const renamed: Record<string, string> = { campaign_id: 'af_c_id', skad_network_id: 'skad_ad_network_id' };
    for (const [name, field] of Object.entries(Field)) expect(fieldName(field)).toBe(renamed[snake(name)] ?? snake(name));
  });

  it('are found by their bytes', () => {
    FIELD_NAMES.forEach((name, field) => expect(fieldsOf(name)).toEqual([field]));
  });

  it('are not found by anything near them', () => {
    for (const name of FIELD_NAMES) {
      for (let at = 0; at <= name.length; at++) {
        const near = [name.slice(0, at) + name.slice(at + 1), `${name.slice(0, at)}x${name.slice(at)}`, `${name.slice(0, at)}X${name.slice(at + 1)}`, name.slice(0, at)];
        for (const key of near) if (!(FIELD_NAMES as readonly string[]).includes(key)) expect(fieldsOf(key)).toEqual([]);
      }
    }
  });
});

describe('placeholders', () => {
  it.each(['', '0', '-', ' ', '00000000-0000-0000-0000-000000000000', 'null', 'NULL', 'None', 'undefined', 'unknown', 'N/A', '9774d56d682e549c', 'true'])('%j names nobody', (value) => {
    expect(isPlaceholder(value)).toBe(true);
  });

  it.each(['u-1001', '1718000000123-4500123456789012345', '00000000-0000-0000-0000-000000000001', 'nobody', 'un\u212anown', 'guest', '10'])('%j names somebody', (value) => {
    expect(isPlaceholder(value)).toBe(false);
  });

  it('are the same over text and over bytes', () => {
    const words = fc.constantFrom('null', 'Unknown', 'n/a', '0', '-', 'un\u212anown', 'NONE', '9774D56D682E549C', 'ſ');
    fc.assert(
      fc.property(fc.oneof(words, fc.string({ unit: 'grapheme', maxLength: 18 }), fc.tuple(words, words).map((pair) => pair.join(''))), (value) => {
        const bytes = Buffer.from(`x${value}x`);
        expect(isPlaceholderBytes(bytes, 1, bytes.byteLength - 1)).toBe(isPlaceholder(value));
      }),
    );
  });

  it('of the null convention are exactly three', () => {
    const isNull = (text: string): boolean => isNullText(Buffer.from(text), 0, text.length);
    expect(['', 'N/A', 'NULL', 'N/AA', 'NUL', 'null', 'n/a', 'NA', 'NULLS'].filter(isNull)).toEqual(['', 'N/A', 'NULL']);
  });
});

describe('values that came before', () => {
  const module = scanner.fields.module;
  const placeOf = (): number => {
    const place = module.words[module.exports.PLACES.value / 4 + Field.campaign] as number;
    return place >= 0 ? place : module.exports.NOT_KEPT.value - place;
  };
  const scan = (message: object): void => {
    const bytes = Buffer.from(JSON.stringify(message));
    expect(scanner.scan(bytes, 0, bytes.byteLength)).toBe(true);
  };
  const read = (): readonly string[] => [scanner.fields.value(Field.campaign), scanner.fields.value(Field.mediaSource)];

  /** Texts of which each wants the place of the first. */
  function rivals(count: number): readonly string[] {
    scan({ campaign: 'rival' });
    const place = placeOf();
    const texts = ['rival'];
    for (let index = 0; texts.length < count; index++) {
      scan({ campaign: `rival-${index}` });
      if (placeOf() === place) texts.push(`rival-${index}`);
    }
    return texts;
  }

  it('are never handed out for another text that wants their place, in one record either', () => {
    const texts = rivals(4);
    for (let round = 0; round < 3; round++) {
      for (const campaign of texts) {
        for (const mediaSource of texts) {
          scan({ campaign, media_source: mediaSource });
          // In both orders, and again: reading one keeps it in place of the other.
          expect([read(), [...read()].reverse()]).toEqual([[campaign, mediaSource], [mediaSource, campaign]]);
          scan({ campaign, media_source: mediaSource });
          expect(scanner.fields.value(Field.mediaSource)).toBe(mediaSource);
          expect(read()).toEqual([campaign, mediaSource]);
        }
      }
    }
  });

  it.each([1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 65, 199])('are the same texts at %i characters, the first time and later', (length) => {
    const campaign = 'ab'.repeat(length).slice(0, length);
    for (let time = 0; time < 3; time++) {
      scan({ campaign, media_source: `${campaign}x` });
      expect(read()).toEqual([campaign, `${campaign}x`]);
    }
  });
});
