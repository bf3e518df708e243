/** Credentials of both ports on the built daemon: who has none gets nowhere, and no secret is ever written down. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { TestCertificates } from '../../peers/certificates.ts';
import { message, runCli } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started, refused } = useDaemons();

const SENDER = 'sender-0123456789-qwertz';
const FILED = 'filed-0123456789-qwertz';
const READ = 'reader-0123456789-qwertz';
const OPERATE = 'operator-0123456789-qwertz';
const WRONG = 'wrong-0123456789-qwertz';
const bearer = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });

/** Every file below, but the journal's: it holds what senders sent. */
const textsBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.segment') && entry.name !== 'tokens')
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));

function pushOverTls(port: number, ca: Buffer, token: string): Promise<{ status: number; by: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/v1/appsflyer/push', method: 'POST', ca, agent: false, headers: { authorization: token } }, (answer) => {
      const by = String((answer.socket as TLSSocket).getPeerCertificate().subject.CN);
      answer.resume().on('end', () => {
        resolve({ status: answer.statusCode ?? 0, by });
      });
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(message({ appsflyer_id: String(performance.now()) })));
  });
}

describe('credentials', () => {
  it('keep both ports, by role on the admin port, and stand in no log, answer or file', async () => {
    const file = join(scratch.path, 'tokens');
    writeFileSync(file, `filed=${FILED}\n`);
    const daemon = await started({
      dataDir: scratch.path,
      env: { MILLRACE_INGEST_AUTH_TOKENS: `app=${SENDER}`, MILLRACE_INGEST_AUTH_TOKENS_FILE: file, MILLRACE_ADMIN_READ_TOKENS: READ, MILLRACE_ADMIN_OPERATE_TOKENS: `ops=${OPERATE}`, MILLRACE_FAULT_INJECTION: 'true', MILLRACE_LOG_LEVEL: 'trace' },
    });
    const push = async (token: string): Promise<number> => (await fetch(`${daemon.ingest}/v1/appsflyer/push`, { method: 'POST', body: JSON.stringify(message({ appsflyer_id: token })), ...bearer(token) })).status;
    expect([await push(SENDER), await push(FILED), await push(WRONG), await push(READ)]).toEqual([200, 200, 401, 401]);

    const admin = async (path: string, init: RequestInit = {}): Promise<number> => (await fetch(`${daemon.admin}${path}`, init)).status;
    for (const path of ['/healthz', '/readyz']) expect(await admin(path)).toBe(200);
    for (const path of ['/', '/metrics', '/v1/pipeline', '/v1/stream', '/openapi.json', '/nowhere']) {
      expect(await admin(path)).toBe(401);
      expect(await admin(path, bearer(WRONG))).toBe(401);
    }
    expect((await fetch(`${daemon.admin}/`)).headers.get('www-authenticate')).toMatch(/^Basic /);
    expect(await admin('/v1/pipeline', bearer(READ))).toBe(200);
    expect(await admin('/', { headers: { authorization: `Basic ${Buffer.from(`anybody:${READ}`).toString('base64')}` } })).toBe(200);
    expect(await admin('/nowhere', bearer(READ))).toBe(404);
    const act = `/v1/faults/kill-thread?thread=${WRONG}`;
    expect(await admin(act, { method: 'POST', ...bearer(READ) })).toBe(403);
    expect(await admin(act, { method: 'POST', ...bearer(OPERATE) })).toBe(400);
    await daemon.until(async () => JSON.stringify(await (await fetch(`${daemon.admin}/v1/pipeline`, bearer(READ))).json()).includes('"received":2'), 10_000, 'both events to be counted');
    let figures = '';
    await daemon.until(
      async () => {
        figures = await (await fetch(`${daemon.admin}/metrics`, bearer(READ))).text();
        return /^millrace_refused_total\{.*reason="UNAUTHORIZED".*\} 2$/m.test(figures);
      },
      10_000,
      'refusals to be counted',
    );

    const tail = (env: Record<string, string>): ReturnType<typeof runCli> => runCli(['tail', '--admin', daemon.admin, '--json'], env);
    expect(await tail({ MILLRACE_ADMIN_TOKEN: READ })).toMatchObject({ code: 0, stdout: expect.stringContaining('accepted') as unknown });
    for (const env of [{}, { MILLRACE_ADMIN_TOKEN: WRONG }]) expect(await tail(env)).toMatchObject({ code: 1, stderr: expect.stringContaining('MILLRACE_ADMIN_TOKEN') as unknown });

    expect(await daemon.stop()).toBe(0);
    const said = [JSON.stringify(daemon.logs), daemon.stderr, figures, ...textsBelow(scratch.path)].join('\n');
    for (const secret of [READ, OPERATE]) expect(said).not.toContain(secret);
    // The messages of this test have their senders' tokens as user ids: those alone may be in the lake's state.
    expect(JSON.stringify(daemon.logs) + daemon.stderr + figures).not.toMatch(new RegExp(`${SENDER}|${FILED}`));
  });

  it('that cannot be used keep the daemon from starting, with what to mend and without the secret', async () => {
    for (const [variable, value] of [['MILLRACE_INGEST_AUTH_TOKENS', 'tiny-secret'], ['MILLRACE_ADMIN_READ_TOKENS', 'tiny-secret'], ['MILLRACE_INGEST_AUTH_TOKENS_FILE', '/nowhere'], ['MILLRACE_INGEST_ALLOW_FROM', 'appsflyer,300.1.1.1/8']] as const) {
      const { code, stderr, stdout } = await runCli(['start', '--no-supervise'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_INGEST_PORT: '0', MILLRACE_ADMIN_PORT: '0', [variable]: value });
      expect({ variable, code }).toEqual({ variable, code: 2 });
      expect(stderr + stdout).toMatch(/CONFIG_INVALID/);
      expect(stderr + stdout).not.toContain('tiny-secret');
    }
  });

  it('are wanted of an admin port that is open to the network, unless that is allowed in so many words', async () => {
    const { code, lines } = await refused({ dataDir: scratch.path, env: { MILLRACE_ADMIN_HOST: '0.0.0.0' } });
    expect(code).toBe(2);
    expect(lines.join()).toMatch(/admin\.host.*admin\.read_tokens/);
    const checked = await runCli(['check'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_ADMIN_HOST: '0.0.0.0' });
    expect(checked.code).toBe(2);
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_ADMIN_HOST: '0.0.0.0', MILLRACE_ADMIN_ALLOW_UNAUTHENTICATED: 'true' } });
    expect(daemon.logs.some(({ level, msg }) => level === 40 && msg.includes('allow_unauthenticated'))).toBe(true);
  });

  it('and the certificate are read again at SIGHUP, through the supervising parent too; every secret stays out of the output', async () => {
    const certificates = new TestCertificates();
    try {
      const served = certificates.issue('first');
      const file = join(scratch.path, 'tokens');
      writeFileSync(file, `old=${SENDER}\n`);
      const key = readFileSync(served.keyFile, 'utf8');
      const env = { MILLRACE_INGEST_AUTH_TOKENS_FILE: file, MILLRACE_INGEST_AUTH_GRACE_SECONDS: '0', MILLRACE_INGEST_TLS_CERT_FILE: served.certFile, MILLRACE_INGEST_TLS_KEY_FILE: served.keyFile, MILLRACE_LOG_LEVEL: 'trace' };
      const daemon = await started({ dataDir: scratch.path, supervise: true, env });
      const push = (token: string): Promise<{ status: number; by: string }> => pushOverTls(daemon.ingestPort, readFileSync(certificates.caFile), token);
      expect(await push(SENDER)).toEqual({ status: 200, by: 'first' });
      expect(await push(FILED)).toEqual({ status: 401, by: 'first' });
      const sent = await runCli(['generate', '--count', '5', '--rate', '60000', '--url', `https://127.0.0.1:${daemon.ingestPort}`], { ...env, NODE_EXTRA_CA_CERTS: certificates.caFile });
      expect([sent.code, sent.stderr]).toEqual([0, expect.stringContaining('5 acknowledged') as unknown]);
      writeFileSync(file, `new=${FILED}\n`);
      certificates.replace(served, certificates.issue('second'));
      daemon.child.kill('SIGHUP');
      // One that comes in the very moment may be reset.
      await daemon.until(async () => JSON.stringify(await push(FILED).catch(() => null)) === JSON.stringify({ status: 200, by: 'second' }), 10_000, 'both to be taken up');
      expect(await push(SENDER)).toEqual({ status: 401, by: 'second' });
      expect(await (await fetch(`${daemon.admin}/metrics`)).text()).toMatch(/^millrace_certificate_expires_seconds(\{.*\})? 1[67]\d{4}/m);
      expect(await daemon.stop()).toBe(0);
      const said = JSON.stringify(daemon.logs) + daemon.stderr + sent.stdout + sent.stderr;
      expect(said).not.toMatch(new RegExp(`${SENDER}|${FILED}`));
      expect(said).not.toContain(key.split('\n')[2]);
    } finally {
      certificates.remove();
    }
  });
});
