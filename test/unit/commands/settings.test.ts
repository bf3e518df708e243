import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadSettings } from '../../../engine/commands/settings.ts';

const load = (env: Readonly<Record<string, string>>): ReturnType<typeof loadSettings> => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  return loadSettings({});
};
beforeEach(() => {
  // Those of the test run are no settings.
  for (const name of Object.keys(process.env)) if (name.startsWith('MILLRACE_')) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the settings of a command', () => {
  it('come from no file when MILLRACE_CONFIG is empty, as if it were not set', () => {
    expect(load({ MILLRACE_CONFIG: '' }).ingest.port).toBe(8080);
    expect(load({ MILLRACE_CONFIG: ' ' }).ingest.port).toBe(8080);
    expect(() => load({ MILLRACE_CONFIG: '/nowhere.yaml' })).toThrow(/nowhere\.yaml does not exist.*MILLRACE_CONFIG/);
  });

  it('are refused when both ports are one on one address', () => {
    const port = { MILLRACE_INGEST_PORT: '9000', MILLRACE_ADMIN_PORT: '9000' };
    expect(() => load(port)).toThrow(/admin\.port: 9000: the same as ingest\.port/);
    expect(() => load({ ...port, MILLRACE_INGEST_HOST: '127.0.0.1' })).toThrow(/the same/);
    expect(load({ ...port, MILLRACE_INGEST_HOST: '10.0.0.1' }).admin.port).toBe(9000);
    expect(() => load({ ...port, MILLRACE_INGEST_HOST: '10.0.0.1', MILLRACE_ADMIN_HOST: '::' })).toThrow(/the same/);
    expect(load({ MILLRACE_INGEST_HOST: '127.0.0.1', MILLRACE_INGEST_PORT: '0', MILLRACE_ADMIN_PORT: '0' }).admin.port).toBe(0);
  });
});
