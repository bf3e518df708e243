/** Senders whom a real directory vouches for, on both doors. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ingressOptionsSchema, type IngressOptions } from '../../../ingress/index.ts';
import { describeWithLdap, LDAP_PEERS, PASSWORDS, SENDERS_DN, startLdap, USER_DN, type LdapServer } from '../../peers/ldap.ts';
import { DOORS, EVENTS, PUSH, ask, client, closeAll, message, open, pause, until, untilQuiet, type Rig } from './harness.ts';

afterEach(closeAll);

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
/** What AppsFlyer can send: no padding, no + and no slash. */
const bearer = (user: string, password: string): string => `Bearer ${Buffer.from(`${user}:${password}`).toString('base64url')}`;
const push = (rig: Rig, authorization: string, body = message('anna')): ReturnType<typeof ask> => ask(rig.url + PUSH, { method: 'POST', body, headers: authorization === '' ? {} : { authorization } });
const statusOf = async (rig: Rig, authorization: string): Promise<number> => (await push(rig, authorization)).status;

describe.each(LDAP_PEERS)('with %s', (peer) => {
  describeWithLdap(peer, 'senders', () => {
    let server: LdapServer;
    beforeAll(async () => {
      server = await startLdap(peer);
    }, 180_000);
    afterAll(() => server.stop());
    // Also of a test that failed while it stood still.
    afterEach(() => {
      server.signal('SIGCONT');
    });

    const withDirectory = (given: Partial<IngressOptions['auth']['ldap']> = {}, tokens: readonly string[] = []): Partial<IngressOptions> => {
      const { auth } = ingressOptionsSchema.parse({ auth: { tokens, ldap: { url: server.tlsUrl, ca_file: server.caFile, user_dn: USER_DN, group_dn: SENDERS_DN, timeout_ms: 1_500, ...given } } });
      return { auth };
    };

    describe.each(DOORS)('on the %s door', (door) => {
      it.each(['ldaps', 'start_tls', 'loopback'])('in the group with the right password may send, and nobody else, over %s', async (way) => {
        const urls: Record<string, Partial<IngressOptions['auth']['ldap']>> = { ldaps: {}, start_tls: { url: server.plainUrl, start_tls: true }, loopback: { url: server.plainUrl } };
        const rig = await open(door, withDirectory(urls[way]));
        expect(await push(rig, basic('anna', PASSWORDS.anna))).toMatchObject({ status: 200 });
        expect(await push(rig, bearer('anna', PASSWORDS.anna))).toMatchObject({ status: 200 });
        // A group within the group counts where the directory keeps memberOf.
        expect(await statusOf(rig, basic('bert', PASSWORDS.bert))).toBe(peer === '389-ds' ? 200 : 401);
        for (const wrong of [basic('carl', PASSWORDS.carl), basic('anna', 'wrong'), basic('anna', ''), basic('nobody', 'password'), basic('anna,ou=people', PASSWORDS.anna), basic('*', 'x'), basic('', 'x'), 'Basic ????', 'Bearer', '']) {
          const refused = await push(rig, wrong);
          expect([wrong, refused.status, refused.code, refused.headers.get('www-authenticate')]).toEqual([wrong, 401, 'UNAUTHORIZED', expect.stringContaining('Basic')]);
        }
        await untilQuiet(rig);
        expect(rig.log.records).toHaveLength(peer === '389-ds' ? 3 : 2);
      });

      it('a body that comes while the directory is asked is kept, byte for byte, whatever its pieces', async () => {
        const rig = await open(door, withDirectory({ timeout_ms: 20_000 }));
        const lines = Array.from({ length: 2_000 }, (_, user) => message(user)).join('\n');
        const head = `POST ${EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nAuthorization: ${basic('anna', PASSWORDS.anna)}\r\nContent-Length: ${lines.length}\r\n\r\n`;
        server.signal('SIGSTOP');
        const sender = client(rig.port).send(head + lines.slice(0, 100));
        const single = push(rig, basic('anna', PASSWORDS.anna), message('single'));
        await pause(100);
        sender.send(lines.slice(100));
        await until(() => rig.ingress.stats().inFlightRequests === 2, 'both to wait');
        expect(rig.log.records).toHaveLength(0);
        await until(() => rig.ingress.stats().inFlightBytes > lines.length, 'the body to be held');
        server.signal('SIGCONT');
        expect((await single).status).toBe(200);
        await until(() => sender.received.includes('"received":2000'), 'the answer');
        expect(rig.log.texts.filter((text) => text !== message('single')).join('\n')).toBe(lines);
        await untilQuiet(rig);
      });

      it('gets 503 while the directory does not answer, unless it is known; nothing of it is received', async () => {
        // Short, for the test waits for it; a busy machine may keep the directory from answering in it, and so it may have to be asked again.
        const timeoutMs = 500;
        const rig = await open(door, withDirectory({ timeout_ms: timeoutMs }));
        const answered = async (authorization: string): Promise<number> => {
          for (;;) {
            const status = await statusOf(rig, authorization);
            if (status !== 503) return status;
          }
        };
        expect(await answered(basic('anna', PASSWORDS.anna))).toBe(200);
        server.signal('SIGSTOP');
        try {
          expect(await statusOf(rig, basic('anna', PASSWORDS.anna))).toBe(200);
          const startedMs = performance.now();
          const refused = await push(rig, basic('anna', 'another'));
          expect([refused.status, refused.code, refused.headers.get('retry-after')]).toEqual([503, 'AUTH_UNAVAILABLE', '1']);
          expect(performance.now() - startedMs).toBeGreaterThan(0.9 * timeoutMs);
        } finally {
          server.signal('SIGCONT');
        }
        expect(await answered(basic('anna', 'another'))).toBe(401);
        expect(rig.log.records).toHaveLength(2);
      });

      it('that goes away while the directory is asked leaves nothing behind', async () => {
        const rig = await open(door, withDirectory({ timeout_ms: 10_000 }));
        server.signal('SIGSTOP');
        const body = message('gone');
        const sender = client(rig.port).send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic('anna', 'gone')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        await until(() => rig.ingress.stats().inFlightRequests === 1, 'it to wait');
        sender.destroy();
        await until(() => rig.ingress.stats().aborted === 1, 'its end to be noticed');
        server.signal('SIGCONT');
        await pause(500);
        await untilQuiet(rig);
        expect(rig.log.records).toEqual([]);
      });

      it('counts no longer once its time is over and the directory says no', async () => {
        const rig = await open(door, withDirectory({ cache_seconds: 1, refused_cache_seconds: 0 }));
        try {
          expect(await statusOf(rig, basic('anna', PASSWORDS.anna))).toBe(200);
          await server.setPassword('anna', 'changed-password');
          while ((await statusOf(rig, basic('anna', PASSWORDS.anna))) !== 401) await pause(50);
        } finally {
          await server.setPassword('anna', PASSWORDS.anna);
        }
      });

      it('may also be one with a static token', async () => {
        const token = 'token-0123456789.of-appsflyer';
        const rig = await open(door, withDirectory({}, [token]));
        expect(await statusOf(rig, `Bearer ${token}`)).toBe(200);
        expect(await statusOf(rig, basic('anna', PASSWORDS.anna))).toBe(200);
        expect(await statusOf(rig, basic('carl', PASSWORDS.carl))).toBe(401);
      });

      it('never has its password sent to a server that is not the one it says it is', async () => {
        const rig = await open(door, withDirectory({ ca_file: '' }));
        expect(await push(rig, basic('anna', PASSWORDS.anna))).toMatchObject({ status: 503, code: 'AUTH_UNAVAILABLE' });
        const starting = await open(door, withDirectory({ ca_file: '', url: server.plainUrl, start_tls: true }));
        expect(await push(starting, basic('anna', PASSWORDS.anna))).toMatchObject({ status: 503, code: 'AUTH_UNAVAILABLE' });
      });
    });
  });
});
