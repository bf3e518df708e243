import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteIdentityMode, type IdentityMode } from '../../../engine/runtime/identity-mode.ts';
import type { DedupeMode } from '../../../engine/core/rules.ts';

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;

describe('since when identities are made as they are', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-identity-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const start = (mode: DedupeMode, nowMs: number, isNew = false, horizonMs = DAY): IdentityMode => noteIdentityMode(directory, { mode, horizonMs, isNew, nowMs, slotMs: 15 * MINUTE });

  it('is the beginning of its first lake slot in a new directory, and stays over restarts', () => {
    expect(start('push+pull-seconds', 100 * MINUTE, true)).toEqual({ sinceMs: 90 * MINUTE, rememberedSinceMs: 0 });
    expect(start('push+pull-seconds', 200 * MINUTE)).toEqual({ sinceMs: 90 * MINUTE, rememberedSinceMs: 0 });
  });

  it('is now after a change of mode, which forgets nothing, and in a directory of which nobody knows, which may have forgotten all', () => {
    start('push-ms', 100 * MINUTE, true);
    expect(start('push+pull-seconds', 200 * MINUTE)).toEqual({ sinceMs: 200 * MINUTE, rememberedSinceMs: 0 });
    writeFileSync(join(directory, 'identity.json'), '{"mode":');
    expect(start('push+pull-seconds', 300 * MINUTE)).toEqual({ sinceMs: 300 * MINUTE, rememberedSinceMs: 300 * MINUTE });
  });

  it('tells since when dedupe remembers, where it was off', () => {
    start('none', 100 * MINUTE, true);
    expect(start('push-ms', 200 * MINUTE)).toEqual({ sinceMs: 200 * MINUTE, rememberedSinceMs: 200 * MINUTE });
    expect(start('push+pull-seconds', 300 * MINUTE)).toEqual({ sinceMs: 300 * MINUTE, rememberedSinceMs: 200 * MINUTE });
  });

  it('tells how far back dedupe remembers where the horizon was shorter, as it was before Pull', () => {
    start('push-ms', 10 * DAY, true);
    expect(start('push+pull-seconds', 20 * DAY, false, 3 * DAY)).toEqual({ sinceMs: 20 * DAY, rememberedSinceMs: 19 * DAY });
    expect(start('push+pull-seconds', 21 * DAY, false, 3 * DAY)).toEqual({ sinceMs: 20 * DAY, rememberedSinceMs: 19 * DAY });
    expect(start('push+pull-seconds', 22 * DAY, false, DAY)).toEqual({ sinceMs: 20 * DAY, rememberedSinceMs: 19 * DAY });
    expect(start('push+pull-seconds', 30 * DAY, false, 2 * DAY)).toEqual({ sinceMs: 20 * DAY, rememberedSinceMs: 29 * DAY });
  });
});
