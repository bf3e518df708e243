/**
 * Who may send: address, credential, rate, in this order; the answer to those who may not is decided at the head of the request.
 *
 * There is no gate where nothing of it is set, and then a request costs nothing more. Refused requests are not received: no byte of them is
 * journaled. Owned by the ingress thread. Hot path: 100 K requests a second, at most 3 µs a request where it is on, nothing where it is off; bench/micro/access.ts.
 */

import { BoundedCache } from '../../engine/core/bounded-cache.ts';
import type { Clock } from '../../engine/core/clock.ts';
import { hash32 } from '../../engine/core/hash.ts';
import type { IngressLog } from '../log.ts';
import { AUTH_BUSY, AUTH_UNAVAILABLE, FORBIDDEN, UNAUTHORIZED, tooFast, type Reply } from '../http/replies.ts';
import type { Route } from '../http/routes.ts';
import { AddressRanges, senderAddress } from './addresses.ts';
import type { Directory, DirectoryAnswer } from './directory.ts';
import type { AccessOptions } from './options.ts';
import { RateLimits } from './rate-limits.ts';
import { watchTokens, type WatchedTokens } from './tokens-file.ts';

/** Of credentials whose hash is remembered, in each of two generations. Chosen: 1 MB at most. */
const KEYS_MAX = 4_096;

/** What the gate asks of a request's head while the door has it at hand. */
export interface RequestHead {
  /** '' where it is not there. `name` in lower case. */
  header(name: string): string;
  /** Of the connection, as text. */
  peer(): string;
}

/** The answer comes later: see {@link GateWaiter}. */
export const LATER = 'later';

/** A request whose credential the directory is asked about. */
export interface GateWaiter {
  /** Null: it may come in. `credentialKey`: for {@link Gate.charge}. Called once, in a later turn of the loop. */
  judged(refusal: Reply | null, credentialKey: number): void;
}

/** Buckets that all ingress threads share. */
export interface LimitMemory {
  readonly credentials: SharedArrayBuffer;
  readonly apps: SharedArrayBuffer;
}

export const limitMemory = (): LimitMemory => ({ credentials: RateLimits.memory(), apps: RateLimits.memory() });

export interface GateParts {
  readonly options: AccessOptions;
  /** Null where none is set. */
  readonly directory: Directory | null;
  readonly memory: LimitMemory;
  readonly clock: Clock;
  readonly nowNs: () => bigint;
  readonly log: IngressLog;
}

export class Gate {
  /** Hash of the credential of the request that was judged last; for {@link Gate.charge}. */
  credentialKey = 0;
  readonly #header: string;
  readonly #clock: Clock;
  readonly #tokens: WatchedTokens | null;
  readonly #directory: Directory | null;
  readonly #allowed: AddressRanges | null;
  readonly #proxies: AddressRanges | null;
  readonly #credentials: RateLimits | null;
  readonly #apps: RateLimits | null;
  /** By name of the credential: a directory may have any number of them. */
  readonly #keys = new BoundedCache<number>(KEYS_MAX);

  /** Null where anybody may send as fast as they like. Raises CONFIG_INVALID. */
  static open(parts: GateParts): Gate | null {
    const { auth, allow_from: allowed, limits } = parts.options;
    const isOn = parts.directory !== null || auth.tokens.length > 0 || auth.tokens_file !== '' || allowed.length > 0 || limits.per_credential_per_second > 0 || limits.per_app_per_second > 0;
    return isOn ? new Gate(parts) : null;
  }

  private constructor({ options, directory, memory, clock, nowNs, log }: GateParts) {
    const { auth, allow_from: allowed, trusted_proxies: proxies, limits } = options;
    this.#header = auth.header.toLowerCase();
    this.#directory = directory;
    this.#clock = clock;
    this.#allowed = allowed.length === 0 ? null : new AddressRanges(allowed, 'ingest.allow_from');
    this.#proxies = proxies.length === 0 ? null : new AddressRanges(proxies, 'ingest.trusted_proxies');
    this.#credentials = rateLimits(memory.credentials, limits.per_credential_per_second, limits.burst_seconds, nowNs);
    this.#apps = rateLimits(memory.apps, limits.per_app_per_second, limits.burst_seconds, nowNs);
    this.#tokens = watchTokens(auth, clock, log);
  }

  /** The answer to a request that may not come in; null when it may, and a record has been taken from the credential's bucket then. With LATER `waiter` is told. */
  judge(route: Route, head: RequestHead, waiter: GateWaiter): Reply | null | typeof LATER {
    if (this.#allowed !== null && !this.#allowed.has(senderAddress(head.peer(), this.#proxies === null ? '' : head.header('x-forwarded-for'), this.#proxies))) return FORBIDDEN;
    if (this.#tokens === null && this.#directory === null) return this.#limit(route, '');
    const value = head.header(this.#header);
    const name = this.#tokens === null ? null : this.#tokens.set.nameOf(value, this.#clock.nowMs());
    if (name !== null) return this.#limit(route, name);
    return this.#directory === null ? UNAUTHORIZED : this.#askDirectory(this.#directory, value, route, waiter);
  }

  #askDirectory(directory: Directory, value: string, route: Route, waiter: GateWaiter): Reply | null | typeof LATER {
    const known = directory.known(value);
    if (known !== 'unknown') return this.#judgeUser(known, route);
    const isAsked = directory.ask(value, (answer) => {
      waiter.judged(this.#judgeUser(answer, route), this.credentialKey);
    });
    return isAsked ? LATER : AUTH_BUSY;
  }

  #judgeUser(answer: DirectoryAnswer, route: Route): Reply | null {
    if (answer === 'refused') return UNAUTHORIZED;
    return answer === 'unavailable' ? AUTH_UNAVAILABLE : this.#limit(route, answer.user);
  }

  #limit(route: Route, name: string): Reply | null {
    if (this.#credentials === null) return null;
    this.credentialKey = this.#keyOf(name);
    const waitSeconds = this.#credentials.take(this.credentialKey, 1);
    return waitSeconds === 0 ? null : tooFast(route.kind, waitSeconds);
  }

  /** The request of credential `key` held so many records beyond its first. */
  charge(key: number, count: number): void {
    this.#credentials?.charge(key, count);
  }

  /** Whether apps have a limit of their own. */
  get limitsApps(): boolean {
    return this.#apps !== null;
  }

  /** Takes a record of an app; the answer instead where it is over its limit. `scopeHash`: of the app's id, 0 where there is none. */
  takeOfApp(route: Route, scopeHash: number): Reply | null {
    const waitSeconds = this.#apps === null ? 0 : this.#apps.take(scopeHash, 1);
    return waitSeconds === 0 ? null : tooFast(route.kind, waitSeconds);
  }

  /** A further record of an app that this request has been let in with. */
  chargeApp(scopeHash: number): void {
    this.#apps?.charge(scopeHash, 1);
  }

  /** Of what stands in files. */
  readAgain(): void {
    this.#tokens?.readAgain();
  }

  stop(): void {
    this.#tokens?.stop();
  }

  #keyOf(name: string): number {
    let key = this.#keys.get(name);
    if (key === undefined) {
      const bytes = Buffer.from(name);
      key = hash32(bytes, 0, bytes.byteLength, 0);
      this.#keys.set(name, key);
    }
    return key;
  }
}

const rateLimits = (memory: SharedArrayBuffer, perSecond: number, burstSeconds: number, nowNs: () => bigint): RateLimits | null =>
  perSecond === 0 ? null : new RateLimits({ memory, perSecond, burstSeconds, nowNs });
