import { describe, expect, it } from 'vitest';
import { NONE, ValueTable } from '../../../actors/partition/value-table.ts';

describe('the table of values', () => {
  it('never answers with another text, whatever falls into one place', () => {
    const values = new ValueTable();
    // Same length, same end, same middle: all of these want one place.
    const texts = Array.from({ length: 3_000 }, (_, index) => `${index}-campaign-of-one-place`.padStart(30, '0'));
    const numbers = texts.map((text) => {
      expect(values.find(text)).toBe(NONE);
      return values.take(text);
    });
    expect(new Set(numbers).size).toBe(texts.length);
    texts.forEach((text, index) => {
      expect(values.find(text)).toBe(numbers[index]);
      expect(values.text(numbers[index] as number)).toBe(text);
    });
  });

  it('forgets a text with its last use, and not before, and gives its number again', () => {
    for (const text of ['', 'a', 'ab', 'abc']) {
      const values = new ValueTable();
      const number = values.take(text);
      expect(values.take(text)).toBe(number);
      values.take(text);
      values.release(number);
      values.release(number);
      expect(values.find(text)).toBe(number);
      values.release(number);
      expect(values.find(text)).toBe(NONE);
      expect(values.size).toBe(0);
      expect(values.take(`${text}, another`)).toBe(number);
      expect(values.find(text)).toBe(NONE);
    }
  });

  it('notices a use that is given back twice', () => {
    const values = new ValueTable();
    const number = values.take('a');
    values.release(number);
    expect(() => { values.release(number); }).toThrow('once more than it was taken');
  });
});
