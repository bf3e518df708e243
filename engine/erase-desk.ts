/**
 * The desk of erasures: takes them, has them journaled, and carries them out where no control record reaches: in the lake's spool and in the lake.
 *
 * ```
 * asked (durable here) -> control record durable: 202 -> all partitions have folded it -> spool -> lake, file by file -> dead letters through -> receipt in the lake
 * ```
 * A purge comes here with a start, its cells being gone already (engine/commands/purge.ts): its control record is journaled before the door opens.
 * Guarantees: what was answered 202 is carried out, whatever dies in between: each step is durable before the next and may be repeated. All that wait go in one
 * walk over the lake. One file is in memory, one pool task in flight, with a pause after each. Main thread.
 */

import { randomBytes } from 'node:crypto';
import type { LakeErasure, ErasedUser } from '../actors/appsflyer/lake-users.ts';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { eraseObject, eventDateOf, eventsAfter, isEventsFile, isRewritten, RetryLoop, systemRetryWorld, type ErasedFile, type EventsSink, type RetryWorld, type RewrittenObject, type RewritableTarget } from '../sinks/lake/index.ts';
import type { Clock } from './core/clock.ts';
import { dimensionValue } from './core/dimension-value.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { ErasedUsers, isPurge, userKey, type Erasure, type ErasureProgress, type PlacedErasure } from './core/erasure.ts';
import { isInDays } from './core/purged-days.ts';
import { encodeControl } from './core/rules.ts';
import { secretId } from './core/secret-id.ts';
import { newReceipt, noteRewritten, type EraseReceipt } from './erase-receipt.ts';
import { seal, unseal } from './erase-secret.ts';
import { refuseBeyondMax, type ErasePass, type EraseStateData, type EraseStateKeeper, type OpenErasure } from './erase-state.ts';
import type { Asker } from './runtime/asker.ts';
import type { Logger } from './runtime/logger.ts';
import type { ErasureAnswer } from './threads/messages.ts';

export interface EraseDeskOptions {
  readonly state: EraseStateKeeper;
  readonly secret: string;
  readonly partitions: number;
  readonly retentionMs: number;
  readonly target: RewritableTarget;
  readonly events: Pick<EventsSink, 'rewriteSpooled'>;
  /** Runs in the pool. */
  readonly erase: (file: Uint8Array, erased: readonly LakeErasure[]) => Promise<ErasedFile>;
  readonly asker: Pick<Asker, 'ask'>;
  readonly writeControl: (bytes: Uint8Array) => Promise<void>;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** By default the machine's; a simulator passes its own. */
  readonly world?: RetryWorld;
}

const FOLD_LOOK_MS = 250;
/** After each file of the lake. Chosen: the main thread has its time for what is live. */
const FILE_PAUSE_MS = 20;
/** Looked-at files after which the place is noted, where nothing was rewritten. */
const FILES_PER_NOTE = 200;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 60_000;
const ID = /^[0-9a-f]{16}$/;
const RECEIPT_BYTES_MAX = 1024 ** 2;

/** 16 hex digits. */
export const newErasureId = (): string => randomBytes(8).toString('hex');

export const receiptName = (id: string): string => `millrace/erasures/${id}.json`;

export class EraseDesk {
  readonly #options: EraseDeskOptions;
  readonly #state: EraseStateData;
  readonly #world: RetryWorld;
  readonly #loop: RetryLoop;
  /** Asked, and their control records not durable yet. */
  readonly #asking = new Set<string>();
  readonly #erased = new Map<string, LakeErasure>();
  #hidden: ErasedUsers | null = null;
  /** Of the listing: names still to be looked at, the next one last. */
  #names: string[] = [];
  #filesSinceNote = 0;

  /** Raises STATE_CORRUPT, DATA_VERSION or RULE_RESOURCE_MISSING. */
  constructor(options: EraseDeskOptions) {
    this.#options = options;
    this.#world = options.world ?? systemRetryWorld;
    this.#state = options.state.read();
    for (const one of this.#state.open) this.#erased.set(one.erasure.id, erasedBy(one, options.secret));
    this.#hide();
    this.#loop = new RetryLoop({
      step: () => this.#step(),
      world: this.#world,
      backoffMinMs: BACKOFF_MIN_MS,
      backoffMaxMs: BACKOFF_MAX_MS,
      onFailure: (error, failuresInARow, retryInMs) => {
        const fix = error instanceof EngineError && error.fix !== undefined ? { fix: error.fix } : {};
        options.log.warn({ error: messageOf(error), ...fix, failuresInARow, retryInMs: Math.round(retryInMs) }, 'an erasure cannot go on; it is tried again');
      },
    });
  }

  /** Control records that a life journals before its door opens: what comes later is not meant. Journaled again by a later life, they mean nothing more. */
  controls(): Uint8Array[] {
    return this.#state.open.filter(({ erasure, isJournaled }) => isPurge(erasure) && !isJournaled).map(({ erasure }) => encodeControl({ type: 'erase', erasure }));
  }

  /** After recovery, with {@link controls} durable: goes on with what is under way. */
  start(): void {
    for (const one of this.#state.open) if (isPurge(one.erasure)) one.isJournaled = true;
    this.#loop.start();
    this.#loop.wake();
  }

  /** Lets the step under way end, or the deadline pass. */
  async close(deadlineMs: number): Promise<void> {
    const ended = this.#loop.close();
    await new Promise<void>((resolve) => {
      const cancel = this.#world.schedule(deadlineMs, resolve);
      void ended.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  get openCount(): number {
    return this.#state.open.length;
  }

  /** Resolves with the receipt's id once the erasure is durable. Rejects NOT_READY, or what the journal says. */
  async ask({ appId, user }: Pick<ErasedUser, 'appId' | 'user'>): Promise<string> {
    const { secret, clock, target, retentionMs } = this.#options;
    refuseBeyondMax(this.#state);
    const scope = dimensionValue(appId);
    const bytes = Buffer.from(secret);
    const erasure: Erasure = { id: newErasureId(), scope, user: userKey(bytes, { scope, user }), secret: secretId(bytes), atMs: clock.nowMs() };
    const open: OpenErasure = { erasure, sealed: seal(secret, user), isJournaled: false, batchSequence: null, receipt: newReceipt(erasure, { retentionMs, lakeUrl: target.url }) };
    this.#asking.add(erasure.id);
    this.#state.open.push(open);
    try {
      this.#save();
      await this.#options.writeControl(encodeControl({ type: 'erase', erasure }));
    } catch (error) {
      this.#state.open = this.#state.open.filter((one) => one !== open);
      this.#save();
      throw error;
    } finally {
      this.#asking.delete(erasure.id);
    }
    open.isJournaled = true;
    this.#erased.set(erasure.id, { id: erasure.id, appId: scope, user });
    this.#hide();
    this.#loop.wake();
    return erasure.id;
  }

  /** Null where there is none. Rejects SINK_UNAVAILABLE or SINK_REFUSED when the lake has it and is away. */
  async receipt(id: string): Promise<EraseReceipt | null> {
    if (!ID.test(id)) return null;
    const open = this.#state.open.find(({ erasure }) => erasure.id === id);
    if (open !== undefined) return open.receipt;
    const bytes = await this.#options.target.get(receiptName(id), RECEIPT_BYTES_MAX);
    return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString('utf8')) as EraseReceipt);
  }

  /** Whether a record that came with this batch may be an erased user's, and must not be shown. What was purged names nobody that may not be. */
  hides(bytes: Buffer, batchSequence: number): boolean {
    return this.#hidden !== null && this.#hidden.find(appsflyerPipeline.recordUsers?.(bytes, 0, bytes.byteLength) ?? { scope: null, users: [] }, batchSequence) !== null;
  }

  async #step(): Promise<boolean> {
    const { pass } = this.#state;
    if (pass === null) return this.#beginPass();
    const open = this.#state.open.filter(({ erasure }) => pass.ids.includes(erasure.id));
    switch (pass.stage) {
      case 'journal':
        for (const one of open) await this.#journal(one);
        return this.#enter(pass, 'folding');
      case 'folding':
        return this.#awaitFold(pass, open);
      case 'spool':
        await this.#rewriteSpool(open);
        return this.#enter(pass, 'lake');
      case 'lake':
        return this.#walk(pass, open);
      case 'letters':
        return this.#awaitLetters(open);
    }
  }

  #beginPass(): boolean {
    const ids = this.#state.open.map(({ erasure }) => erasure.id).filter((id) => !this.#asking.has(id));
    if (ids.length === 0) return false;
    this.#state.pass = { ids, stage: 'journal', after: null, rewriting: null };
    this.#names = [];
    this.#save();
    return true;
  }

  #enter(pass: ErasePass, stage: ErasePass['stage']): true {
    pass.stage = stage;
    const told = stage === 'letters' ? 'dead letters' : stage === 'journal' ? 'asked' : stage;
    for (const { erasure, receipt } of this.#state.open) if (pass.ids.includes(erasure.id)) receipt.stage = told;
    this.#save();
    return true;
  }

  /** One that was asked for in a life that ended: its record may be there already, and then the second one means nothing more. */
  async #journal(open: OpenErasure): Promise<void> {
    if (open.isJournaled) return;
    await this.#options.writeControl(encodeControl({ type: 'erase', erasure: open.erasure }));
    open.isJournaled = true;
    this.#save();
  }

  /** From then on nothing is encoded with their rows. */
  async #awaitFold(pass: ErasePass, open: readonly OpenErasure[]): Promise<boolean> {
    const progress = await this.#progress();
    if (progress === null || !open.every(({ erasure }) => partitionsOf(progress, erasure.id) === this.#options.partitions)) return this.#lookAgain();
    for (const one of open) {
      const own = ofErasure(progress, one.erasure.id);
      one.batchSequence = Math.max(...own.map(({ batchSequence }) => batchSequence));
      one.upToMs = Math.max(...own.map(({ receivedAtMs = Infinity }) => receivedAtMs));
    }
    this.#hide();
    return this.#enter(pass, 'spool');
  }

  async #rewriteSpool(open: readonly OpenErasure[]): Promise<void> {
    await this.#options.events.rewriteSpooled(async (file) => {
      const { bytes, removed } = await this.#options.erase(file, this.#erasedBy(open));
      for (const { erasure, receipt } of open) receipt.spool.rows_removed += removed[erasure.id] ?? 0;
      return bytes;
    });
  }

  /** One file of the lake. */
  async #walk(pass: ErasePass, open: readonly OpenErasure[]): Promise<boolean> {
    const { target, erase } = this.#options;
    if (pass.rewriting !== null && this.#names.length === 0) {
      // Of a life that ended in the middle, or of an attempt that failed.
      if (await isRewritten(pass.rewriting, target)) this.#count(pass.rewriting, open);
      pass.rewriting = null;
    }
    if (this.#names.length === 0) {
      const names = await eventsAfter(target, pass.after);
      if (names === null) return this.#enter(pass, 'letters');
      this.#names = names.reverse();
    }
    const name = this.#names[this.#names.length - 1] as string;
    if (!isMeant(name, open)) {
      this.#names.pop();
      pass.after = name;
      return true;
    }
    if (isEventsFile(name)) {
      const begin = async (object: RewrittenObject): Promise<void> => {
        pass.rewriting = object;
        this.#save();
      };
      try {
        const rewritten = await eraseObject(name, { target, begin, erase: (file) => erase(file, this.#erasedBy(open)) });
        if (rewritten !== null) this.#count(rewritten, open);
        pass.rewriting = null;
      } catch (error) {
        this.#names = [];
        throw error;
      }
      for (const { receipt } of open) receipt.lake.files_looked_at++;
    }
    this.#names.pop();
    pass.after = name;
    if (++this.#filesSinceNote >= FILES_PER_NOTE) this.#save();
    await this.#pause(FILE_PAUSE_MS);
    return true;
  }

  async #awaitLetters(open: readonly OpenErasure[]): Promise<boolean> {
    const progress = await this.#progress();
    if (progress === null || !open.every(({ erasure: { id } }) => partitionsOf(progress, id) === this.#options.partitions && ofErasure(progress, id).every(({ isDone }) => isDone))) return this.#lookAgain();
    for (const { erasure, receipt } of open) {
      receipt.dead_letters.removed = ofErasure(progress, erasure.id).reduce((sum, { lettersRemoved }) => sum + lettersRemoved, 0);
      await this.#finish(erasure.id, receipt);
    }
    this.#state.done.push(...open.map(({ erasure, batchSequence }) => ({ erasure, batchSequence })));
    this.#state.open = this.#state.open.filter((one) => !open.includes(one));
    this.#state.pass = null;
    for (const { erasure } of open) this.#erased.delete(erasure.id);
    this.#save();
    return true;
  }

  async #finish(id: string, receipt: EraseReceipt): Promise<void> {
    const { target, clock, log } = this.#options;
    const finished: EraseReceipt = { ...receipt, stage: 'done', done: true, finished_at: new Date(clock.nowMs()).toISOString() };
    await target.put(receiptName(id), Buffer.from(`${JSON.stringify(finished, null, 2)}\n`));
    log.info({ erasure: id, rows: receipt.lake.rows_removed, files: receipt.lake.files_rewritten, deadLetters: receipt.dead_letters.removed }, 'an erasure is done');
  }

  #count(object: RewrittenObject, open: readonly OpenErasure[]): void {
    for (const { erasure, receipt } of open) {
      const rows = object.removed[erasure.id] ?? 0;
      if (rows > 0) noteRewritten(receipt, object, rows);
    }
  }

  /** Null while a thread recovers. */
  async #progress(): Promise<readonly PlacedProgress[] | null> {
    const answers = await this.#options.asker.ask<readonly ErasureAnswer[]>({ what: 'erasures' }).catch(() => null);
    return answers === null ? null : answers.flat().flatMap(({ partition, erasures }) => erasures.map((one) => ({ ...one, partition })));
  }

  async #lookAgain(): Promise<true> {
    await this.#pause(FOLD_LOOK_MS);
    return true;
  }

  #erasedBy(open: readonly OpenErasure[]): LakeErasure[] {
    return open.flatMap(({ erasure, upToMs }) => {
      const erased = this.#erased.get(erasure.id);
      // Written as null where it is Infinity.
      return erased === undefined ? [] : [{ ...erased, upToMs: upToMs ?? Infinity }];
    });
  }

  #hide(): void {
    const placed = [...this.#state.open, ...this.#state.done].filter(({ erasure }) => !isPurge(erasure)).map(({ erasure, batchSequence }): PlacedErasure => [batchSequence === null ? Infinity : batchSequence - 1, erasure]);
    this.#hidden = placed.length === 0 ? null : new ErasedUsers(placed, () => Buffer.from(this.#options.secret));
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#world.schedule(delayMs, resolve));
  }

  #save(): void {
    this.#filesSinceNote = 0;
    this.#options.state.write(this.#state);
  }
}

type PlacedProgress = ErasureProgress & { readonly partition: number };

const ofErasure = (progress: readonly PlacedProgress[], id: string): PlacedProgress[] => progress.filter((one) => one.id === id);
/** A record that was journaled twice is told twice. */
const partitionsOf = (progress: readonly PlacedProgress[], id: string): number => new Set(ofErasure(progress, id).map(({ partition }) => partition)).size;

/** Files of other days than those of purges are not read where only purges wait. */
function isMeant(name: string, open: readonly OpenErasure[]): boolean {
  const date = eventDateOf(name);
  return date === null || open.some(({ erasure }) => !isPurge(erasure) || isInDays(erasure.days, Date.parse(date)));
}

function erasedBy({ erasure, sealed }: OpenErasure, secret: string): LakeErasure {
  const { id, scope } = erasure;
  if (isPurge(erasure)) return { id, appId: scope, ...erasure.days };
  try {
    return { id, appId: scope, user: unseal(secret, sealed) };
  } catch (error) {
    throw new EngineError('RULE_RESOURCE_MISSING', `erasure ${id} was asked for under the secret ${erasure.secret}, which is not the one of this data directory`, { cause: error, fix: 'put the file erasure-secret back as it was, from a savepoint' });
  }
}
