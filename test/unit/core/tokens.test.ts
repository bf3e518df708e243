import { describe, expect, it } from 'vitest';
import { parseTokens, TokenSet } from '../../../engine/core/tokens.ts';

const OLD = 'old-token-0123456789';
const NEW = 'new token.0123456789';

describe('tokens', () => {
  it('are read by line, named or not, and empty lines and remarks say nothing', () => {
    expect(parseTokens(['# senders', '', `appsflyer=${OLD}`, `  ${NEW} `], 'f')).toEqual([
      { name: 'appsflyer', token: OLD },
      { name: 'token-4', token: NEW },
    ]);
  });

  it.each([
    ['a short one', 'tiny-1', 'shorter'],
    ['one beyond all measure', 'x'.repeat(2_001), 'longer'],
    ['letters that are never sent', 'täken-0123456789-0123', 'AppsFlyer does not send'],
    ['a name with blanks', `bad name!=${OLD}`, 'name'],
    ['two tokens in one line', `name=${OLD}=${OLD}`, 'AppsFlyer does not send'],
  ])('refuse %s without showing it', (_, line, reason) => {
    const read = (): unknown => parseTokens([line], 'tokens.txt');
    expect(read).toThrow(reason);
    expect(read).toThrow(/tokens\.txt, entry 1/);
    expect(read).not.toThrow(line);
  });

  it('count as they are and after the word Bearer, in any case', () => {
    const set = new TokenSet(parseTokens([`a=${OLD}`, `b=${NEW}`], 'f'), 0);
    for (const value of [OLD, `Bearer ${OLD}`, `bearer   ${OLD}`, ` ${OLD} `]) expect(set.nameOf(value, 0)).toBe('a');
    expect(set.nameOf(NEW, 0)).toBe('b');
    for (const value of ['', 'Bearer', 'Bearer ', `${OLD}x`, OLD.slice(1), OLD.toUpperCase(), `Basic ${OLD}`, 'x'.repeat(1_000_000)]) expect(set.nameOf(value, 0)).toBeNull();
  });

  it('count until their grace is over when they are configured no more, and for good when they come back', () => {
    const set = new TokenSet(parseTokens([OLD], 'f'), 1_000);
    set.replace(parseTokens([NEW], 'f'), 5_000);
    expect(set.nameOf(OLD, 5_999)).not.toBeNull();
    expect(set.nameOf(NEW, 5_999)).not.toBeNull();
    // A further change does not lengthen it.
    set.replace(parseTokens([NEW], 'f'), 5_900);
    expect(set.nameOf(OLD, 6_000)).toBeNull();
    expect(set.nameOf(NEW, 9e9)).not.toBeNull();
    set.replace(parseTokens([OLD], 'f'), 7_000);
    expect(set.nameOf(OLD, 9e9)).not.toBeNull();
    expect(set.nameOf(NEW, 8_000)).toBeNull();
  });

  it('leave nothing behind that is void', () => {
    const set = new TokenSet([], 0);
    for (let round = 0; round < 100; round++) set.replace(parseTokens([`token-${round}-0123456789`], 'f'), round);
    expect(set.size).toBe(1);
  });
});
