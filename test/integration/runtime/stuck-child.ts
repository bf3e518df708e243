/** Opens the state file that it is given and says so; once it is told to, it writes, meets a transaction that never settles, and ends itself. */

import { once } from 'node:events';
import { exitCodeOf } from '../../../engine/runtime/exit-codes.ts';
import { endProcess } from '../../../engine/runtime/end-process.ts';
import { openStore } from '../../../engine/state/lmdb-store.ts';

const write = { table: 'a', key: Uint8Array.of(1), value: Uint8Array.of(1) };
const store = openStore({ path: process.argv[2] ?? '', tables: ['a'], commitPatienceMs: 2_000 });
await store.commit([write]);
process.stdout.write('open');
await once(process.stdin, 'data');
await store.commit([write]).catch((error: unknown) => endProcess(exitCodeOf(error)));
