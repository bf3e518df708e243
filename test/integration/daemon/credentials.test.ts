/** Credentials of both ports on the built daemon: who has none gets nowhere, and no secret is ever written down. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { message, runCli } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

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
    const figures = await (await fetch(`${daemon.admin}/metrics`, bearer(READ))).text();
    expect(figures).toMatch(/^millrace_refused_total\{.*reason="UNAUTHORIZED".*\} 2$/m);

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

  it('asks for some in the log where the admin port is open to the network', async () => {
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_ADMIN_HOST: '0.0.0.0' } });
    expect(daemon.logs.some(({ level, msg }) => level === 40 && msg.includes('admin.operate_tokens'))).toBe(true);
  });
});
