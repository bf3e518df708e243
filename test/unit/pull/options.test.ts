import { describe, expect, it } from 'vitest';
import { isPullOn, pullOptionsSchema, pullOverlapHours } from '../../../ingress/pull/options.ts';
import { loadConfig } from '../../../engine/runtime/config.ts';
import { settingsSchema } from '../../../engine/settings.ts';

describe('the settings of Pull', () => {
  it('leave it off unless apps are named', () => {
    const off = pullOptionsSchema.parse({});
    expect([isPullOn(off), pullOverlapHours(off)]).toEqual([false, null]);
    const on = pullOptionsSchema.parse({ apps: ['com.example.shop'], token: 't' });
    expect([isPullOn(on), pullOverlapHours(on), on.maximum_rows, on.reports]).toEqual([true, 48, 1_000_000, ['installs_report', 'in_app_events_report']]);
  });

  it('are read from the environment', () => {
    const env = { MILLRACE_PULL_APPS: 'com.example.shop,id1234567890', MILLRACE_PULL_REPORTS: 'installs_report,detection', MILLRACE_PULL_TOKEN_FILE: '/run/token', MILLRACE_PULL_MAXIMUM_ROWS: '200000', MILLRACE_PULL_CALLS_PER_DAY: '24' };
    const { pull } = loadConfig(settingsSchema, { file: null, env });
    expect(pull).toMatchObject({ apps: ['com.example.shop', 'id1234567890'], reports: ['installs_report', 'detection'], token_file: '/run/token', maximum_rows: 200_000, calls_per_day: 24 });
  });

  it.each([
    [{ apps: ['a'] }, /token/],
    [{ apps: ['a'], token: 't', token_file: 'f' }, /token_file/],
    [{ apps: ['../etc'], token: 't' }, /app id/],
    [{ apps: ['a'], token: 'two words' }, /printable ASCII/],
    [{ apps: ['a'], token: 't', reports: ['clicks'] }, /reports/],
    [{ apps: ['a'], token: 't', maximum_rows: 5_000 }, /maximum_rows/],
    [{ apps: ['a'], token: 't', url: 'ftp://x' }, /https/],
  ])('refuse %o', (given, message) => {
    expect(() => pullOptionsSchema.parse(given)).toThrow(message);
  });

  it('never show the token', () => {
    const env = { MILLRACE_PULL_APPS: 'a', MILLRACE_PULL_TOKEN: 'secret of the tests', MILLRACE_PULL_URL: 'nowhere' };
    try {
      loadConfig(settingsSchema, { file: null, env });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain('pull.token: (not shown)');
      expect(String(error)).not.toContain('secret');
    }
  });
});
