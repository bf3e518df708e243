/** How the daemon ends and comes back: SIGTERM under load and while it recovers, supervision, the parent's death. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TestDaemon } from '../../support/daemon.ts';
import { Load, conserved, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { END_MS_MAX, useDaemons } from './harness.ts';

const { scratch, started, usedDirectory } = useDaemons();

describe('the life of the process', () => {
  it('SIGTERM under load ends with 0 within 10 s and loses nothing acknowledged', async () => {
    const [ingestPort, adminPort] = [await freePort(), await freePort()];
    const env = { MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_ADMIN_PORT: String(adminPort) };
    const first = await started({ dataDir: scratch.path, env });
    const load = new Load({ url: first.ingest, requestsPerSecond: 40, batch: 20, name: 'drain' });
    await pause(1_500);
    const startMs = performance.now();
    expect(await first.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(END_MS_MAX);
    const second = await started({ dataDir: scratch.path, env });
    const report = await load.stop();
    await expectExact(second, 'drain', report);
    expect(conserved((await second.pipeline()).conservation)).toBe(true);
  });

  it('the supervising parent starts a killed daemon again, on the same data, and ends with 0 on SIGTERM', async () => {
    const [ingestPort, adminPort] = [await freePort(), await freePort()];
    const daemon = await started({ dataDir: scratch.path, supervise: true, env: { MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_ADMIN_PORT: String(adminPort) } });
    const load = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 10, name: 'supervised' });
    for (let death = 0; death < 2; death++) {
      await pause(500);
      const pid = daemon.logs.filter((line) => line.msg === 'millrace is up').at(-1)?.['pid'] as number;
      expect(pid).not.toBe(daemon.child.pid);
      process.kill(pid, 'SIGKILL');
      await daemon.until(() => daemon.logs.filter((line) => line.msg === 'millrace is up').length === death + 2, 60_000, 'the daemon to be up again');
    }
    await daemon.up();
    const report = await load.stop();
    await expectExact(daemon, 'supervised', report);
    expect(daemon.logs.filter((line) => line.msg === 'the daemon died; starting it again')).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
    expect(await fetch(`${daemon.admin}/healthz`).catch(() => null)).toBeNull();
  });

  it('the daemon ends when its parent is killed, and leaves a clean directory', async () => {
    const daemon = await started({ dataDir: scratch.path, supervise: true });
    const pid = daemon.logs.find((line) => line.msg === 'millrace is up')?.['pid'] as number;
    await daemon.kill();
    const deadline = performance.now() + 30_000;
    while (isAlive(pid) && performance.now() < deadline) await pause(50);
    expect(isAlive(pid)).toBe(false);
    const next = await started({ dataDir: scratch.path });
    expect(await next.stop()).toBe(0);
  });

  it('SIGTERM while it recovers ends with 0', async () => {
    await usedDirectory(scratch.path, 2_000);
    // Supervised, so that a signal also finds a child that cannot handle it yet.
    for (const delayMs of [0, 250, 500, 800]) {
      const daemon = TestDaemon.spawn({ dataDir: scratch.path, supervise: true });
      const pid = daemon.child.pid as number;
      await daemon.until(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() !== '', 30_000, 'the parent to have a child');
      await pause(delayMs);
      expect(await daemon.stop(), `${delayMs} ms after its birth`).toBe(0);
    }
    const last = await started({ dataDir: scratch.path });
    expect((await last.pipeline()).conservation).toMatchObject({ received: 2_000, accepted: 2_000 });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z';
  } catch {
    return false;
  }
}
