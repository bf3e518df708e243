/**
 * One daemon at a time in a data directory, through any death and out of any container of the machine.
 *
 * Two locks, both sockets, which the kernel frees with their process, so that a kill leaves none behind. A name made of the directory's
 * device and inode settles who came first among processes of one network namespace. Containers have namespaces of their own: for them
 * each holder also has a socket in the directory itself, which every process that sees the directory can reach. It appears there by
 * rename and thus listens from its first moment to its process's last: one that refuses a connection is dead for good and is removed.
 * Whoever wants the directory first shows his own socket and then looks for others, so that of two at the same moment at least one sees
 * the other; both may, and then neither gets it. Not covered: machines (virtual ones too) that share a disk by other means than a network file system.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer, connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskErrorCode } from '../core/disk.ts';
import { EngineError } from '../core/errors.ts';
import { nodeDisk } from '../log/index.ts';

const FOLDER = 'lock';
const SUFFIX = '.sock';
/** What a file system says that has no sockets, such as those by which desktop systems show a folder to a container. */
const NO_SOCKETS: ReadonlySet<string> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'ENOSYS']);

export interface DirectoryLock {
  /** False where the file system has no sockets: then only processes of this network namespace are kept out. */
  readonly acrossContainers: boolean;
  /** May be called again. */
  readonly release: () => Promise<void>;
}

/** Rejects DATA_DIR_LOCKED, or with the system's error. */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const name = await listen(lockName(path)).catch((error: unknown) => {
    throw diskErrorCode(error) === 'EADDRINUSE' ? locked(path) : error;
  });
  try {
    const claim = await claimDirectory(path);
    return {
      acrossContainers: claim !== null,
      release: once(async () => {
        await claim?.release();
        await close(name);
      }),
    };
  } catch (error) {
    await close(name);
    throw error;
  }
}

/** The socket in the directory. Null where there can be none. Rejects DATA_DIR_LOCKED. */
export async function claimDirectory(path: string): Promise<{ readonly release: () => Promise<void> } | null> {
  const folder = join(path, FOLDER);
  nodeDisk.makeDirectory(folder);
  const handle = openSync(folder, 'r');
  // A socket's path has room for some 100 bytes: a long one is reached through the open folder.
  const reach = (name: string): string => join(process.platform === 'linux' ? `/proc/self/fd/${handle}` : folder, name);
  const own = `${randomBytes(8).toString('hex')}${SUFFIX}`;
  let server: Server;
  try {
    server = await listen(reach(`${own}.tmp`));
  } catch (error) {
    closeSync(handle);
    if (NO_SOCKETS.has(diskErrorCode(error))) return null;
    throw error;
  }
  const release = once(async () => {
    rmSync(join(folder, own), { force: true });
    await close(server);
    closeSync(handle);
  });
  try {
    renameSync(join(folder, `${own}.tmp`), join(folder, own));
    for (const other of readdirSync(folder)) {
      if (other === own || !other.endsWith(SUFFIX)) continue;
      if (await isAlive(reach(other))) throw locked(path);
      rmSync(join(folder, other), { force: true });
    }
    return { release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** In doubt it is: nobody may take a directory from a holder that cannot be asked. */
function isAlive(socketPath: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      settle(true);
    });
    socket.once('error', (error) => {
      settle(!['ECONNREFUSED', 'ENOENT'].includes(diskErrorCode(error)));
    });
  });
}

function lockName(path: string): string {
  const { dev, ino } = statSync(path);
  const name = `millrace-${dev}-${ino}`;
  // Abstract names are Linux's; elsewhere a socket file stands in, and a stale one is told apart by nobody answering.
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
}

function listen(socketPath: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((settle, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      settle(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((settle) => {
    server.close(() => {
      settle();
    });
  });
}

/** A second release must not close what has the descriptor's number by then. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

const locked = (path: string): EngineError =>
  new EngineError('DATA_DIR_LOCKED', `data_dir ${path} is in use by another Millrace daemon`, { where: { path }, fix: 'stop that daemon, or set another data_dir (MILLRACE_DATA_DIR)' });
