/** What commands make of the answers of the admin port; the port is real, the daemon behind it is not. */

import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { takeSavepoint } from '../../../engine/commands/savepoint.ts';
import { tail } from '../../../engine/commands/tail.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { openAdminServer, type AdminReply, type AdminRoute, type AdminServer } from '../../../engine/runtime/admin-server.ts';
import { savepointReply } from '../../../engine/admin-savepoint.ts';
import { exitCodeOf } from '../../../engine/runtime/exit-codes.ts';

let server: AdminServer | null = null;
let printed: string;
beforeEach(() => {
  printed = '';
  // Those of the test run are no settings.
  for (const name of Object.keys(process.env)) if (name.startsWith('MILLRACE_')) vi.stubEnv(name, undefined);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await server?.close();
});

/** A minute of patience is 60 ms here. */
function hurry(): void {
  const real = AbortSignal.timeout.bind(AbortSignal);
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => real(ms / 1_000));
}

async function daemonThat(method: AdminRoute['method'], path: string, handle: () => AdminReply | Promise<AdminReply>): Promise<string> {
  server = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', routes: [{ method, path, summary: '', answers: { 200: '' }, contentType: 'application/json', lasting: true, handle }], onError: () => undefined });
  return `http://127.0.0.1:${server.port}`;
}

const failureOf = (work: Promise<unknown>): Promise<EngineError> => work.then(() => Promise.reject(new Error('it did not fail')), (error: unknown) => error as EngineError);

describe('tail', () => {
  it("ends with 2 and the daemon's words where the daemon refuses the question", async () => {
    const admin = await daemonThat('GET', '/v1/tail', () => {
      throw new EngineError('QUERY_INVALID', 'limit: "600": must be a whole number from 1 to 500');
    });
    const error = await failureOf(tail({ admin, limit: 600, follow: false, json: false }));
    expect([exitCodeOf(error), error.message]).toEqual([2, 'limit: "600": must be a whole number from 1 to 500']);
  });

  it('ends with 1 where the daemon is not ready, or does not answer in time', async () => {
    const admin = await daemonThat('GET', '/v1/tail', () => {
      throw new EngineError('NOT_READY', 'recovery has not finished');
    });
    const refused = await failureOf(tail({ admin, limit: 1, follow: false, json: false }));
    expect([exitCodeOf(refused), refused.message]).toEqual([1, expect.stringMatching(/answered 503: recovery/)]);
    await server?.close();
    hurry();
    const late = await failureOf(tail({ admin: await daemonThat('GET', '/v1/tail', () => new Promise(() => undefined)), limit: 1, follow: false, json: false }));
    expect([exitCodeOf(late), late.message]).toEqual([1, expect.stringMatching(/does not answer/)]);
  });
});

describe('savepoint take', () => {
  it('waits for as long as the copy takes', async () => {
    hurry();
    const admin = await daemonThat('POST', '/v1/savepoints', () => savepointReply('/backup', pause(1_500, 42), () => Promise.resolve(7)));
    expect(await takeSavepoint('/backup', { admin })).toBe(0);
    expect(printed).toBe('savepoint of 42 bytes in /backup\n');
  });

  it("ends with the daemon's error, whenever that comes", async () => {
    const broken = pause(50).then(() => Promise.reject(new EngineError('DATA_DIR_UNUSABLE', '/backup exists already', { fix: 'name another' })));
    const admin = await daemonThat('POST', '/v1/savepoints', () => savepointReply('/backup', broken, () => Promise.resolve(7)));
    const error = await failureOf(takeSavepoint('/backup', { admin }));
    expect([exitCodeOf(error), error.message]).toEqual([4, '/backup exists already: name another']);
  });

  it('ends with an error when the daemon goes away meanwhile', async () => {
    const admin = await daemonThat('POST', '/v1/savepoints', () => savepointReply('/backup', new Promise(() => undefined), () => Promise.resolve(7)));
    const taken = failureOf(takeSavepoint('/backup', { admin }));
    await pause(300);
    await server?.close();
    expect(await taken).toMatchObject({ code: 'NOT_READY', message: expect.stringMatching(/did not answer to the end/) as unknown });
  });
});
