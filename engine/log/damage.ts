/**
 * What to raise when a file of the journal does not read as it should: damage, which ends the daemon for good and cuts nothing; a disk that
 * did not give back the bytes, which a restart may mend; or a system that is out of descriptors or memory, which passes.
 */

import { diskErrorCode } from '../core/disk.ts';
import { EngineError, messageOf } from '../core/errors.ts';

type Where = Readonly<Record<string, string | number>>;

/** Codes that tell of the process and the system, not of the file. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);

export const corrupt = (message: string, where: Where, cause?: unknown): EngineError =>
  new EngineError('JOURNAL_CORRUPT', message, {
    ...(cause === undefined ? {} : { cause }),
    where,
    fix: 'nothing was cut; check the disk, restore the journal directory from a copy, or move it and the state away together and resend',
  });

/** Null when `cause` tells of the file itself. */
export const outOfResources = (cause: unknown, where: Where): EngineError | null =>
  PASSING.has(diskErrorCode(cause))
    ? new EngineError('OUT_OF_RESOURCES', `nothing more can be opened: ${messageOf(cause)}`, { cause, where, fix: 'raise the limit of open files (ulimit -n, LimitNOFILE), or lower ingest.connections_max' })
    : null;

export const diskFailed = (cause: unknown, where: Where): EngineError =>
  new EngineError('JOURNAL_DISK_FAILED', `the disk of the journal failed: ${messageOf(cause)}`, { cause, where, fix: 'nothing was cut, and it is tried again; if it stays, look at the disk under data_dir' });

/** Null when `cause` is no error of the system, or says that the file is not there. An error of the disk says nothing of what is on it: EIO may pass. */
export function notRead(cause: unknown, where: Where): EngineError | null {
  const code = diskErrorCode(cause);
  return code === '' || code === 'ENOENT' ? null : (outOfResources(cause, where) ?? diskFailed(cause, where));
}

export const unreadable = (message: string, where: Where, cause: unknown): EngineError => notRead(cause, where) ?? corrupt(message, where, cause);
