/**
 * Senders: messages of the generator, in requests that are sent again until they are answered, and some of them once more hours later. In a fifth of the stories
 * the same events come as rows of Pull reports too: some before they were pushed, and at the end all of them again.
 */

import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import type { EngineError } from '../../engine/core/errors.ts';
import { RecordFlag, RecordSource } from '../../engine/core/record.ts';
import type { Batcher, BatchMember } from '../../ingress/batcher.ts';
import type { Door } from './door.ts';
import { identityInSeconds, pullRowOf } from './pull-rows.ts';
import type { World } from './world.ts';

/** One request: done with once all of its records are durable, sent again when anything else happens to it. */
class Client implements BatchMember {
  appending = true;
  batchesPending = 0;
  lastBatch = 0;
  failure: EngineError | null = null;
  readonly bodies: readonly Buffer[];
  readonly source: RecordSource;
  readonly batcher: Batcher;
  readonly #done: (client: Client) => void;

  constructor(bodies: readonly Buffer[], source: RecordSource, batcher: Batcher, done: (client: Client) => void) {
    this.bodies = bodies;
    this.source = source;
    this.batcher = batcher;
    this.#done = done;
  }

  settled(): void {
    this.#done(this);
  }

  resume(): void {
    throw new Error('bug: no client was parked');
  }
}

export interface SendersOptions {
  readonly world: World;
  readonly seed: number;
  readonly count: number;
  /** Nothing older is sent once more: running time never passes faster than this. */
  readonly repeatMsMax: number;
  /** Events come by Pull too: no two of them are one in seconds. */
  readonly hasPull: boolean;
  /** Rows may be sent: seconds are compared from now on. */
  readonly mayPull: () => boolean;
  /** A bug to plant: what failed counts as answered. */
  readonly acknowledgesFailures: boolean;
  /** Null while there is nobody to send to. */
  readonly door: () => Door | null;
  /** Handed to the daemon, once more or for the first time. */
  readonly onSent: (body: Buffer, source: RecordSource) => void;
  readonly onAnswered: (body: string, atMs: number) => void;
  /** What the daemon must never do. */
  readonly onBug: (error: Error) => void;
}

export class Senders {
  readonly #options: SendersOptions;
  /** Bodies that have no answer yet and are not under way. */
  readonly #unanswered: Buffer[] = [];
  /** The same of Pull. */
  readonly #rows: Buffer[] = [];
  readonly #identities = new Set<string>();
  #hasReread = false;
  readonly #underWay = new Set<Client>();
  readonly #made: { readonly body: Buffer; readonly atMs: number; readonly hasRow: boolean }[] = [];
  /** Records answered by each batcher that there was. */
  readonly #answeredBy = new WeakMap<Batcher, number>();
  #toMake: number;
  messages = 0;
  pullRows = 0;
  refused = 0;
  silentUntilMs = 0;

  constructor(options: SendersOptions) {
    this.#options = options;
    this.#toMake = options.count;
  }

  get unansweredCount(): number {
    return this.#toMake + this.#unanswered.length + this.#rows.length + this.#underWay.size;
  }

  async run(): Promise<void> {
    const { world, seed } = this.#options;
    const startMs = world.clock.nowMs();
    const generator = createGenerator({ seed, ratePerMinute: 60_000, startMs, users: 50, campaigns: 4, apps: 2, garbageShare: 0.06, resendShare: 0.1, followsClock: true });
    for (;;) {
      if (this.#toMake > 0 && world.chance(0.7)) this.#make(() => generator.next(startMs + this.messages * 10));
      if (this.#options.hasPull) this.#pull();
      this.#send();
      const silentMs = this.silentUntilMs - world.clock.monotonicMs();
      if (silentMs > 0) await world.sleep(silentMs);
      else await world.sleep(world.chance(0.1) ? world.pick(100, 5_000) : world.pick(1, 60));
    }
  }

  /** The connections to a batcher are gone, or to all. */
  abandon(batcher?: Batcher): void {
    for (const client of [...this.#underWay]) if (batcher === undefined || client.batcher === batcher) this.#again(client);
  }

  #make(next: () => { readonly method: string; readonly body: string }): void {
    const { world, repeatMsMax } = this.#options;
    const nowMs = world.clock.monotonicMs();
    for (let count = world.pick(1, 6); count > 0 && this.#toMake > 0; count--, this.#toMake--) {
      const message = next();
      if (message.method !== 'POST' || this.#isOneInSeconds(message)) continue;
      this.messages++;
      const body = Buffer.from(message.body);
      this.#made.push({ body, atMs: nowMs, hasRow: this.#options.hasPull && identityInSeconds(message) !== null });
      this.#unanswered.push(body);
    }
    // AppsFlyer sends some of what was answered long ago once more.
    const repeated = this.#made[world.pick(0, this.#made.length)];
    if (repeated !== undefined && world.chance(0.15) && nowMs - repeated.atMs < repeatMsMax) this.#unanswered.push(repeated.body);
  }

  /** Another event than one before, and none to the second: which of the two counts would hang on their order. */
  #isOneInSeconds(message: { readonly method: string; readonly body: string }): boolean {
    const identity = this.#options.hasPull ? identityInSeconds(message) : null;
    if (identity === null || this.#made.some(({ body }) => body.toString() === message.body)) return false;
    if (this.#identities.has(identity)) return true;
    this.#identities.add(identity);
    return false;
  }

  /** Reports overlap: a row comes as often as it is read, and all of them at the end. */
  #pull(): void {
    const { world, repeatMsMax, mayPull } = this.#options;
    if (!mayPull()) return;
    const nowMs = world.clock.monotonicMs();
    const isLast = this.#toMake === 0 && !this.#hasReread;
    this.#hasReread ||= isLast;
    for (const { body, atMs, hasRow } of this.#made) {
      if (!hasRow || nowMs - atMs >= repeatMsMax || !(isLast || world.chance(0.02))) continue;
      this.pullRows++;
      this.#rows.push(pullRowOf(body.toString()));
    }
    this.#sendFrom(this.#rows, RecordSource.pull);
  }

  #send(): void {
    this.#sendFrom(this.#unanswered, RecordSource.push);
  }

  #sendFrom(waiting: Buffer[], source: RecordSource): void {
    const { world } = this.#options;
    for (let requests = world.pick(1, 4); requests > 0 && waiting.length > 0; requests--) {
      const door = this.#options.door();
      const batcher = door?.batcher ?? null;
      if (door === null || batcher === null) return;
      const bodies: Buffer[] = [];
      for (let count = world.pick(1, 5); count > 0 && waiting.length > 0; count--) bodies.push(waiting.splice(world.pick(0, waiting.length - 1), 1)[0] as Buffer);
      const client = new Client(bodies, source, batcher, this.#answered);
      this.#underWay.add(client);
      for (const body of bodies) this.#options.onSent(body, source);
      const taken = bodies.every((body) => {
        door.partitioner.locate(body, 0, body.byteLength);
        const { partition, flags } = door.partitioner;
        return batcher.append(client, partition, source, flags === RecordFlag.none ? 0 : flags, body, 0, body.byteLength);
      });
      if (!taken) this.#again(client);
      client.appending = false;
    }
  }

  readonly #answered = (client: Client): void => {
    if (!this.#underWay.delete(client)) return;
    const { world, acknowledgesFailures, onAnswered } = this.#options;
    if (client.failure !== null && !acknowledgesFailures) {
      this.#again(client);
      return;
    }
    this.#checkDurable(client);
    for (const body of client.bodies) onAnswered(body.toString(), world.clock.nowMs());
  };

  /** An answer that came too early does harm only where a crash comes before the commit; it is looked for at once. */
  #checkDurable({ batcher, bodies }: Client): void {
    const answered = (this.#answeredBy.get(batcher) ?? 0) + bodies.length;
    this.#answeredBy.set(batcher, answered);
    const { recordsCommitted } = batcher.stats();
    if (answered > recordsCommitted) this.#options.onBug(new Error(`acknowledged: ${answered} records, and ${recordsCommitted} are durable`));
  }

  /** Some of it may be durable all the same. */
  #again(client: Client): void {
    this.#underWay.delete(client);
    this.refused++;
    (client.source === RecordSource.pull ? this.#rows : this.#unanswered).push(...client.bodies);
  }
}
