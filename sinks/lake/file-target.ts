/**
 * The lake in a directory: `file:./data/lake`, `file:/srv/lake` or `file:///srv/lake`.
 *
 * An object is a file, replaced by rename after an fsync. A version lies beside the lake's data in `millrace/versions/<name>.json`, written
 * after the object: a crash between the two leaves a version that is too low, which only lets the same content be written again.
 */

import { createHash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { DurableFolders, isMissing, isTemporary, systemCode, writeDurably } from './durable-file.ts';
import type { Files } from './files.ts';
import { nodeFiles } from './node-files.ts';
import { isAsExpected, isOlder, parseVersion, refused, unavailable, type ObjectVersion, type ReadObject, type ReplaceCondition, type RewritableTarget } from './target.ts';

const SCHEME = 'file:';
const VERSION_BYTES_MAX = 4_096;
/** What the operator has to mend; everything else may pass by itself. */
const FIXES: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on the file system of lake.url',
  EDQUOT: 'raise the disk quota of the file system of lake.url',
  EACCES: 'give the daemon write permission on lake.url',
  EPERM: 'give the daemon write permission on lake.url',
  EROFS: 'mount the file system of lake.url writable',
  ENOTDIR: 'remove the file that stands where a directory of lake.url must be',
  ENAMETOOLONG: 'choose a shorter lake.url',
};

/** The absolute directory that a `file:` address names. Raises CONFIG_INVALID. */
export function directoryOf(url: string): string {
  const path = url.slice(SCHEME.length);
  if (!url.startsWith(SCHEME) || path === '' || (path.startsWith('//') && !path.startsWith('///'))) {
    throw new EngineError('CONFIG_INVALID', `lake.url is ${url}, which names no directory`, { fix: 'write file:./data/lake or file:/srv/lake' });
  }
  return path.startsWith('///') ? fileURLToPath(url) : resolve(path);
}

export class FileTarget implements RewritableTarget {
  readonly url: string;
  readonly #root: string;
  readonly #files: Files;
  readonly #folders: DurableFolders;

  constructor(url: string, files: Files = nodeFiles) {
    this.url = url;
    this.#files = files;
    this.#root = directoryOf(url);
    this.#folders = new DurableFolders(files, this.#root);
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#root, name);
    const place = async (): Promise<void> => {
      await this.#folders.make(dirname(path));
      await writeDurably(this.#files, path, bytes);
    };
    await this.#attempt(name, () =>
      place().catch((error: unknown) => {
        if (!isMissing(error)) throw error;
        // Somebody has emptied the lake.
        this.#folders.forget();
        return place();
      }),
    );
  }

  async putVersioned(name: string, bytes: Uint8Array, version: ObjectVersion): Promise<'written' | 'refused'> {
    const stored = await this.version(name);
    if (stored !== null && isOlder(version, stored)) return 'refused';
    await this.put(name, bytes);
    const text = JSON.stringify({ generation: String(version.generation), revision: String(version.revision) });
    await this.put(versionName(name), Buffer.from(text));
    return 'written';
  }

  /** Null when the object or its version is missing or unreadable: what somebody removed or replaced is written anew. */
  async version(name: string): Promise<ObjectVersion | null> {
    const exists = await this.#attempt(name, () => this.#files.look(join(this.#root, name)).then((entry) => !entry.isFolder, () => false));
    const bytes = exists ? await this.get(versionName(name), VERSION_BYTES_MAX) : null;
    if (bytes === null) return null;
    try {
      const stored = JSON.parse(Buffer.from(bytes).toString('utf8')) as { generation?: string; revision?: string } | null;
      return parseVersion(stored?.generation, stored?.revision);
    } catch {
      return null;
    }
  }

  async replace(name: string, bytes: Uint8Array, { expected, bytesMax }: ReplaceCondition): Promise<boolean> {
    if (!isAsExpected(await this.get(name, bytesMax), expected)) return false;
    await this.put(name, bytes);
    return true;
  }

  async get(name: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#attempt(name, async () => {
      const path = join(this.#root, name);
      try {
        const { sizeBytes } = await this.#files.look(path);
        if (sizeBytes > bytesMax) throw refused(`${name} has ${sizeBytes} bytes, more than ${bytesMax}`, { file: path }, undefined, `look at what wrote ${path}`);
        return await this.#files.read(path);
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  }

  async read(name: string, bytesMax: number): Promise<ReadObject | null> {
    const bytes = await this.get(name, bytesMax);
    return bytes === null ? null : { bytes, etag: etagOf(bytes), versionId: null };
  }

  async replaceRead(name: string, bytes: Uint8Array, etag: string): Promise<boolean> {
    const there = await this.get(name, Infinity);
    if (there === null || etagOf(there) !== etag) return false;
    await this.put(name, bytes);
    return true;
  }

  async listAfter(folder: string, after: string | null, limit: number): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#walk(folder, after)) {
      names.push(name);
      if (names.length === limit) break;
    }
    return names;
  }

  async list(prefix: string, limit: number): Promise<string[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const start = basename(prefix.slice(folder.length));
    return this.#attempt(prefix, async () => {
      try {
        const names = await this.#files.list(join(this.#root, folder));
        return names.filter((name) => name.startsWith(start) && !isTemporary(name)).slice(0, limit).map((name) => folder + name);
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    });
  }

  async close(): Promise<void> {}

  /** Depth first, by name; folders that lie wholly before `after` are not opened. */
  async *#walk(folder: string, after: string | null): AsyncGenerator<string> {
    for (const name of (await this.list(folder, Infinity)).sort()) {
      const isFolder = await this.#attempt(name, () => this.#files.look(join(this.#root, name)).then((entry) => entry.isFolder, () => null));
      if (isFolder === true && (after === null || `${name}/\uffff` > after)) yield* this.#walk(`${name}/`, after);
      else if (isFolder === false && (after === null || name > after)) yield name;
    }
  }

  async #attempt<Result>(name: string, action: () => Promise<Result>): Promise<Result> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof EngineError) throw error;
      const where = { sink: 'lake', file: join(this.#root, name) };
      const message = `the lake's directory cannot be used: ${messageOf(error)}`;
      const fix = FIXES[systemCode(error)];
      throw fix === undefined ? unavailable(message, where, error) : refused(message, where, error, fix);
    }
  }
}

const etagOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

const versionName = (name: string): string => `millrace/versions/${name}.json`;
