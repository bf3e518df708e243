import { describe, expect, it } from 'vitest';
import { ErasedUsers, userKey, type UserErasure } from '../../../engine/core/erasure.ts';

const secrets: Readonly<Record<string, Buffer>> = { a: Buffer.from('secret of a'), b: Buffer.from('secret of b') };
const secretOf = (id: string): Buffer => secrets[id] as Buffer;
const erasure = (id: string, scope: string, user: string, secret = 'a'): UserErasure => ({ id, scope, user: userKey(secretOf(secret), { scope, user }), secret, atMs: 0 });

describe('who is erased', () => {
  const users = new ErasedUsers([[10, erasure('one', 'app', 'ann')], [20, erasure('two', 'app', 'ann')], [5, erasure('three', 'other', 'ben', 'b')], [7, erasure('four', 'app', 'x'.repeat(500))]], secretOf);
  const found = (scope: string | null, names: readonly string[], number: number): string | undefined => users.find({ scope, users: names }, number)?.id;

  it('is told by app and any of the names, up to the record that the last of their erasures means', () => {
    expect(found('app', ['zoe', 'ann'], 20)).toBe('two');
    expect(found('app', ['ann'], 21)).toBeUndefined();
    expect(found('other', ['ann'], 1)).toBeUndefined();
    expect(found('other', ['ben'], 5)).toBe('three');
    expect(found('app', ['x'.repeat(500)], 7)).toBe('four');
    expect(found('app', [], 1)).toBeUndefined();
  });

  it('may be anybody of that name where a record names no app', () => {
    expect(found(null, ['ben'], 1)).toBe('three');
    expect(found(null, ['nobody'], 1)).toBeUndefined();
  });

  it('stands nowhere in clear, and for two apps under two hashes', () => {
    const one = erasure('id', 'app', 'ann-4711');
    expect(JSON.stringify(one)).not.toContain('ann');
    expect(one.user).toMatch(/^[0-9a-f]{32}$/);
    expect(erasure('id', 'app2', 'ann-4711').user).not.toBe(one.user);
  });
});
