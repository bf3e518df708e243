import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, EngineError, type ErrorCode } from '../../../engine/core/errors.ts';
import { exitCodeOf, exitCodes, isWorthRestart } from '../../../engine/runtime/exit-codes.ts';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];
const exitOf = (code: ErrorCode): number => exitCodeOf(new EngineError(code, 'x'));
const manual = readFileSync(resolve(import.meta.dirname, '../../../engine/README.md'), 'utf8');

describe('exit codes', () => {
  it('tell a wrong configuration, a thing in use, an unusable data directory and damage apart', () => {
    expect(exitOf('CONFIG_INVALID')).toBe(2);
    expect([exitOf('PORT_IN_USE'), exitOf('DATA_DIR_LOCKED')]).toEqual([3, 3]);
    expect((['DATA_DIR_UNUSABLE', 'DATA_DIR_NETWORK', 'DATA_DIR_FOREIGN', 'DATA_VERSION', 'DISK_FULL'] as const).map(exitOf)).toEqual([4, 4, 4, 4, 4]);
    expect((['JOURNAL_CORRUPT', 'CHECKPOINT_BEYOND_LOG', 'CHECKPOINT_BEFORE_LOG', 'STATE_CORRUPT'] as const).map(exitOf)).toEqual([5, 5, 5, 5]);
  });

  it('are 1, which is worth a restart, for bugs and for things that are not errors of ours', () => {
    for (const thrown of [new Error('bug'), new TypeError('bug'), 'text', undefined, null, { code: 'PORT_IN_USE' }]) expect(exitCodeOf(thrown)).toBe(exitCodes.failure);
  });

  it('ask for a restart for every error that a repeat may mend, but for a full disk: its restarts would fill it with logs', () => {
    const retried = codes.filter((code) => ERROR_CODES[code].retryable && code !== 'DISK_FULL');
    expect(retried.filter((code) => !isWorthRestart(exitOf(code)))).toEqual([]);
  });

  it('ask for a restart where a store is stuck, which only another process mends', () => {
    expect([ERROR_CODES.STATE_STUCK.retryable, isWorthRestart(exitOf('STATE_STUCK'))]).toEqual([false, true]);
  });

  it('ask for one where the data directory cannot be used only once a daemon has run in it', () => {
    expect([isWorthRestart(exitCodes.dataDirectory), isWorthRestart(exitCodes.dataDirectory, true), isWorthRestart(exitCodes.corrupt, true), isWorthRestart(exitCodes.config, true)]).toEqual([false, true, false, false]);
  });

  it('never ask for a restart where the configuration is at fault', () => {
    const configured = codes.filter((code) => ERROR_CODES[code].domain === 'config');
    expect(configured.filter((code) => isWorthRestart(exitOf(code)) || exitOf(code) === exitCodes.ok)).toEqual([]);
  });

  it('stand in the manual, one row each', () => {
    const rows = [...manual.matchAll(/^\| (\d) \| /gm)].map((match) => Number(match[1]));
    expect(rows.sort()).toEqual(Object.values(exitCodes).sort());
  });

  it('belong to error codes that stand in the manual with the same meaning', () => {
    expect(codes.filter((code) => !manual.includes(`| \`${code}\` | ${ERROR_CODES[code].meaning} |`))).toEqual([]);
  });
});
