/** What a kind of fault is. */

import type { World } from '../world.ts';

/** What must be there for it; named where it is missing. */
export type Need = 'redis-server' | 'minio' | 'strace' | 'faketime' | 'mount' | 'prlimit';

export interface Fault {
  readonly name: string;
  /** What happens, in a sentence for the table. */
  readonly what: string;
  /** By which means. */
  readonly how: string;
  readonly needs: readonly Need[];
  /** True: the daemon runs under its parent, `millrace start`, which alone starts it again. False: the run starts it. Otherwise either will do. */
  readonly supervised?: boolean;
  /** The data directory lies on a file system of this size. */
  readonly diskBytes?: number;
  /** Not with a Redis, whose keys end by its own clock. */
  readonly withoutRedis?: boolean;
  /** The journal does not reach back to the first record: the state cannot be held against a replay. */
  readonly withoutReplay?: boolean;
  /** Every message is kept and sent once more at the end. */
  readonly sendsAllAgain?: boolean;
  /** How often it is inflicted in a run that does not say. */
  readonly times: number;
  readonly env?: (world: World) => Readonly<Record<string, string>>;
  /** Before the first start. */
  readonly prepare?: (world: World) => Promise<void> | void;
  /**
   * Begins the fault under load and ends it. Resolves with how often it was felt: deaths, calls that failed, requests that were
   * refused. Raises when what must follow does not come.
   */
  readonly inflict: (world: World) => Promise<number>;
}
