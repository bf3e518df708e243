/** How actor threads that fail are dealt with, over threads that fail as they are told. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import type { EngineError } from '../../../engine/core/errors.ts';
import { ActorThreads } from '../../../engine/runtime/actor-threads.ts';
import { PoisonList } from '../../../engine/runtime/poison.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';

/** Restores, fails for good, and never ends: as one does whose store waits for a transaction while it is closed. */
const LINGERING_THREAD = `
  import { parentPort } from 'node:worker_threads';
  parentPort.postMessage({ type: 'restored', partitions: [{ partition: 0, offsets: [7], sequence: 0 }] });
  setTimeout(() => parentPort.postMessage({ type: 'failed', error: { code: 'STATE_STUCK', message: 'it has not settled' } }), 50);
  setInterval(() => undefined, 1_000);
`;

describe('an actor thread', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-actors-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('that no replacement mends ends the daemon when it says so, and not only once it has ended', async () => {
    const module = join(directory, 'lingering-thread.mjs');
    writeFileSync(module, LINGERING_THREAD);
    const words = SharedWords.create(1);
    let onFatal: (error: EngineError) => void = () => undefined;
    const fatal = new Promise<EngineError>((resolve) => {
      onFatal = resolve;
    });
    const actors = new ActorThreads({
      module: pathToFileURL(module),
      settings: {},
      partitionCount: 1,
      threads: 1,
      words,
      poison: new PoisonList(directory),
      clock: systemClock,
      stallTimeoutMs: 60_000,
      stallsBefore: 0,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onMessage: () => undefined,
      onDeath: () => undefined,
      onFatal,
    });
    expect(await actors.start()).toEqual([7]);
    expect((await fatal).code).toBe('STATE_STUCK');
    await actors.stop(0);
  }, 60_000);
});
