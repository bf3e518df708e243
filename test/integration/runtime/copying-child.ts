/** Fills the state file that it is given, begins to copy it, and ends itself meanwhile. */

import { endProcess } from '../../../engine/runtime/end-process.ts';
import { openStore } from '../../../engine/state/lmdb-store.ts';

const path = process.argv[2] ?? '';
const store = openStore({ path, tables: ['a'] });
await store.commit(Array.from({ length: 50_000 }, (_, at) => ({ table: 'a', key: Uint8Array.of(at >>> 8, at & 255), value: new Uint8Array(4_000).fill(at) })));
void store.copyTo(`${path}.copy`);
await endProcess(0);
