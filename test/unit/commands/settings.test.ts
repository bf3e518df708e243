import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadSettings } from '../../../engine/commands/settings.ts';
import { ingressThreadsOf } from '../../../engine/settings.ts';

/** Those of the test run, and of what was loaded before, are no settings. */
function clear(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('MILLRACE_')) vi.stubEnv(name, undefined);
}

const load = (env: Readonly<Record<string, string>>): ReturnType<typeof loadSettings> => {
  clear();
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  return loadSettings({});
};
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
    expect(() => load({ ...port, MILLRACE_INGEST_HOST: '10.0.0.1', MILLRACE_ADMIN_HOST: '::', MILLRACE_ADMIN_ALLOW_UNAUTHENTICATED: 'true' })).toThrow(/the same/);
    expect(load({ MILLRACE_INGEST_HOST: '127.0.0.1', MILLRACE_INGEST_PORT: '0', MILLRACE_ADMIN_PORT: '0' }).admin.port).toBe(0);
  });

  it('are refused where the admin port would be open to the network without a credential', () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com']) {
      expect(() => load({ MILLRACE_ADMIN_HOST: host })).toThrow(/admin\.host: .*without asking for a credential/);
      expect(load({ MILLRACE_ADMIN_HOST: host, MILLRACE_ADMIN_READ_TOKENS: 'reader-0123456789-abcdef' }).admin.host).toBe(host);
      expect(load({ MILLRACE_ADMIN_HOST: host, MILLRACE_ADMIN_ALLOW_UNAUTHENTICATED: 'true' }).admin.host).toBe(host);
    }
    for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'localhost']) expect(load({ MILLRACE_ADMIN_HOST: host }).admin.host).toBe(host);
  });

  it('are refused where uWebSockets.js should insist on certificates of clients', () => {
    const tls = { MILLRACE_INGEST_TLS_CERT_FILE: 'c', MILLRACE_INGEST_TLS_KEY_FILE: 'k', MILLRACE_INGEST_TLS_CLIENT_CA_FILE: 'a' };
    expect(() => load({ ...tls, MILLRACE_DOOR: 'uws' })).toThrow(/client_ca_file/);
    expect(ingressThreadsOf(load({ ...tls, MILLRACE_THREADS_INGRESS: '3' }))).toBe(1);
    expect(() => load({ MILLRACE_INGEST_TLS_CERT_FILE: 'c' })).toThrow(/go together/);
    expect(() => load({ MILLRACE_INGEST_TLS_CLIENT_CA_FILE: 'a' })).toThrow(/needs cert_file/);
  });

  it('take secrets from files, and never tell them', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
    try {
      const file = join(directory, 'secret');
      writeFileSync(file, ' from-the-file \n');
      const settings = load({ MILLRACE_REDIS_URL: 'redis://h', MILLRACE_REDIS_PASSWORD_FILE: file, MILLRACE_LAKE_S3_SECRET_ACCESS_KEY_FILE: file });
      expect([settings.redis?.password, settings.lake.s3_secret_access_key]).toEqual(['from-the-file', 'from-the-file']);
      const both = (): unknown => load({ MILLRACE_REDIS_URL: 'redis://h', MILLRACE_REDIS_PASSWORD: 'given', MILLRACE_REDIS_PASSWORD_FILE: file });
      expect(both).toThrow(/redis\.password_file: redis\.password is set too/);
      expect(both).not.toThrow(/given|from-the-file/);
      writeFileSync(file, '\n');
      expect(() => load({ MILLRACE_LAKE_S3_SECRET_ACCESS_KEY_FILE: file })).toThrow(/is empty/);
      expect(() => load({ MILLRACE_LAKE_S3_SECRET_ACCESS_KEY_FILE: join(directory, 'none') })).toThrow(/cannot be read/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
