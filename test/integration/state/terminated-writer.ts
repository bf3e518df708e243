/** A thread that commits without end until it is terminated: every transaction writes the same version under all keys. */
import { parentPort, workerData } from 'node:worker_threads';
import { openStore } from '../../../engine/state/index.ts';

const KEYS = 1_500;
const { path } = workerData as { path: string };
const store = openStore({ path, tables: ['a'] });
const versions = [...store.range('a', {})].map((entry) => Buffer.from(entry.value).readUInt32BE(0));
let version = versions[0] ?? 0;
parentPort?.postMessage({ opened: version, torn: versions.some((found) => found !== version) || (version > 0 && versions.length !== KEYS) });
for (;;) {
  version++;
  const value = Buffer.alloc(300);
  value.writeUInt32BE(version);
  await store.commit(
    Array.from({ length: KEYS }, (_, at) => ({ table: 'a', key: Uint8Array.from([at >>> 8, at & 255]), value })),
  );
  parentPort?.postMessage({ version });
}
