import { describe, expect, it } from 'vitest';
import { AdminAccess } from '../../../engine/runtime/admin-access.ts';

const READ = 'read-0123456789-abcdef';
const OPERATE = 'operate-0123456789-abcdef';
const NONE = { read_tokens: [], operate_tokens: [], read_tokens_file: '', operate_tokens_file: '' };
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('who may use the admin port', () => {
  it('is anybody where no token is set', () => {
    expect(AdminAccess.open(NONE)).toBeNull();
  });

  it.each([
    ['GET', `Bearer ${READ}`, null],
    ['HEAD', READ, null],
    ['POST', `Bearer ${READ}`, 'role'],
    ['DELETE', `Bearer ${READ}`, 'role'],
    ['GET', `Bearer ${OPERATE}`, null],
    ['POST', `Bearer ${OPERATE}`, null],
    ['GET', basic(`anybody:${READ}`), null],
    ['POST', basic(`:${OPERATE}`), null],
    ['POST', basic(`${OPERATE}:`), 'credential'],
    ['GET', basic(`anna:${READ}x`), 'credential'],
    ['GET', 'Basic ???', 'credential'],
    ['GET', '', 'credential'],
    ['GET', 'Bearer', 'credential'],
  ])('%s with %s: %s', (method, authorization, expected) => {
    const access = AdminAccess.open({ ...NONE, read_tokens: [`grafana=${READ}`], operate_tokens: [OPERATE] });
    expect(access?.missing(method, authorization)).toBe(expected);
  });

  it('with tokens to read alone, nobody may act', () => {
    expect(AdminAccess.open({ ...NONE, read_tokens: [READ] })?.missing('POST', READ)).toBe('role');
  });

  it('refuses a file that is not there, by setting and path', () => {
    expect(() => AdminAccess.open({ ...NONE, operate_tokens_file: '/nowhere/tokens' })).toThrow(/admin\.operate_tokens_file: \/nowhere\/tokens cannot be read/);
  });
});
