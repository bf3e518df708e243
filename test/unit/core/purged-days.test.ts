import { describe, expect, it } from 'vitest';
import { ErasedUsers, meaningOf, userKey, type Purge } from '../../../engine/core/erasure.ts';
import { PurgedDays } from '../../../engine/core/purged-days.ts';
import { MS_PER_DAY } from '../../../engine/core/types.ts';

const purge = (id: string, scope: string, fromDay: number, toDay: number): Purge => ({ id, scope, days: { fromMs: fromDay * MS_PER_DAY, toMs: toDay * MS_PER_DAY }, atMs: 0 });
const user = { id: 'user', scope: 'app', user: userKey(Buffer.from('s'), { scope: 'app', user: 'ann' }), secret: 'one', atMs: 0 };

describe('what is purged', () => {
  const purged = new PurgedDays([[10, purge('one', 'app', 2, 4)], [99, user], [20, purge('two', 'app', 3, 5)]]);
  const found = (scope: string | null, timeMs: number, number = 1): string | undefined => purged.find({ scope, timeMs }, number)?.id;

  it('is told by app and time, from the first day up to the first that stays, and up to the record that it means', () => {
    expect([2 * MS_PER_DAY - 1, 2 * MS_PER_DAY, 4 * MS_PER_DAY - 1, 4 * MS_PER_DAY, 5 * MS_PER_DAY].map((timeMs) => found('app', timeMs))).toEqual([undefined, 'one', 'one', 'two', undefined]);
    expect([10, 11, 20, 21].map((number) => found('app', 3 * MS_PER_DAY, number))).toEqual(['one', 'two', 'two', undefined]);
    expect(found('other', 3 * MS_PER_DAY)).toBeUndefined();
  });

  it('is never a record that names no app, or has no time', () => {
    expect(found(null, 3 * MS_PER_DAY)).toBeUndefined();
    expect(found('app', NaN)).toBeUndefined();
  });

  it('is no user, and a user is no purge', () => {
    const users = new ErasedUsers([[10, purge('one', 'app', 2, 4)], [10, user]], () => Buffer.from('s'));
    expect(users.find({ scope: 'app', users: ['ann'] }, 1)?.id).toBe('user');
    expect(users.find({ scope: 'app', users: ['ben'] }, 1)).toBeNull();
    expect(new PurgedDays([[10, user]]).isEmpty).toBe(true);
    expect(new Set([meaningOf(user), meaningOf(purge('a', 'app', 1, 2)), meaningOf(purge('b', 'app', 1, 2)), meaningOf(purge('a', 'app', 1, 3))]).size).toBe(3);
  });
});
