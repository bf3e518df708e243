/**
 * Whose records were sent and answered when, and who asked to be erased: what the checkers of erasures know of the story, by the order in which things came to
 * pass outside the daemon.
 *
 * A record is of a person when its text says so: neither the journal nor the product's own search is asked.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { diskErrorCode } from '../../engine/core/disk.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { fingerprintHex } from '../../engine/core/hash.ts';
import { RecordSource } from '../../engine/core/record.ts';
import type { DedupeMode } from '../../engine/core/rules.ts';
import type { Life } from './life.ts';
import type { World } from './world.ts';

export interface Person {
  readonly app: string;
  /** Their appsflyer_id, which the lake shows as user_id. */
  readonly user: string;
}

/** Moments are numbers in order. */
export interface Asked extends Person {
  /** Of the last attempt. */
  askedAt: number;
  /** Of the receipt; null until somebody was told that it will be carried out. */
  id: string | null;
  /** The clock's furthest at that time, and Infinity before: what is sent once it has gone further is received later, to the millisecond. */
  answeredMs: number;
  /** Nothing of theirs from before is anywhere; Infinity until the daemon says so. */
  doneAt: number;
}

export interface SentRecord {
  readonly text: string;
  readonly source: number;
  /** The clock's furthest. */
  readonly firstSentMs: number;
  lastSentAt: number;
  /** Of its first answer; null before. */
  answeredAt: number | null;
  /** By the model. */
  isCounted: boolean;
}

const RETRY_MS = 700;
const APP = /"app_id":"([^"\\]+)"/;
/** Ids of zeros are nobody's. */
const USER = /"appsflyer_id":"(?![-0]*")([^"\\]+)"/;

export class People {
  readonly #world: World;
  readonly #onBug: (error: unknown) => void;
  readonly #records = new Map<string, SentRecord>();
  readonly asked: Asked[] = [];
  readonly #ids = new Map<SentRecord, readonly string[]>();
  readonly #byId = new Map<string, SentRecord[]>();
  #moment = 0;

  constructor(world: World, onBug: (error: unknown) => void) {
    this.#world = world;
    this.#onBug = onBug;
  }

  get records(): Iterable<SentRecord> {
    return this.#records.values();
  }

  /** Everybody who asked was told that it is done. */
  get isSettled(): boolean {
    return this.asked.every(({ doneAt }) => doneAt < Infinity);
  }

  sent(body: Buffer, source: number): void {
    const text = body.toString();
    const known = this.#records.get(text);
    const at = ++this.#moment;
    if (known !== undefined) known.lastSentAt = at;
    else this.#note({ text, source, firstSentMs: this.#world.furthestMs, lastSentAt: at, answeredAt: null, isCounted: false });
  }

  answered(text: string, isCounted: boolean): void {
    const record = this.#records.get(text);
    if (record === undefined) return;
    record.answeredAt ??= ++this.#moment;
    record.isCounted ||= isCounted;
  }

  done(id: string): void {
    const at = ++this.#moment;
    for (const one of this.asked) if (one.id === id) one.doneAt = at;
  }

  /** Somebody who was answered asks, and asks again until the daemon has said yes. `choice`: at least 0 and below 1. */
  async ask(choice: number, lifeAtHand: () => Life | null): Promise<void> {
    const person = this.#personAt(choice);
    if (person === null) return;
    const asked: Asked = { ...person, askedAt: ++this.#moment, id: null, answeredMs: Infinity, doneAt: Infinity };
    this.asked.push(asked);
    while (asked.id === null) {
      const desk = lifeAtHand()?.openDesk ?? null;
      const life = lifeAtHand();
      if (desk !== null && life !== null) {
        asked.askedAt = ++this.#moment;
        const told = desk.ask({ appId: asked.app, user: asked.user }).then(
          (id) => id,
          (error: unknown) => this.#refused(error),
        );
        asked.id = await Promise.race([told, life.over().then(() => null)]);
      }
      if (asked.id !== null) asked.answeredMs = this.#world.furthestMs;
      else await this.#world.sleep(RETRY_MS);
    }
  }

  /** Hex names that the record may have in the lake. */
  idsOf(record: SentRecord): readonly string[] {
    return this.#ids.get(record) ?? [];
  }

  /**
   * Hex names that the row of its event may have: what Pull tells may stand there as Push told it, which was received before it and has milliseconds, though the model has
   * taken Pull's text.
   */
  rowNamesOf(record: SentRecord): readonly string[] {
    return record.source === RecordSource.pull ? this.#sameEvents(record).flatMap((same) => this.idsOf(same)) : this.idsOf(record);
  }

  /** The model counts the event of which a row has this name. */
  isCounted(id: string): boolean {
    return this.recordsOf(id).some((record) => record.isCounted || this.#sameEvents(record).some((same) => same.isCounted && same.source === RecordSource.pull));
  }

  #sameEvents(record: SentRecord): SentRecord[] {
    return this.idsOf(record).flatMap((id) => this.recordsOf(id));
  }

  recordOf(text: string): SentRecord | null {
    return this.#records.get(text) ?? null;
  }

  /** Under which a row stands in the lake. */
  recordsOf(id: string): readonly SentRecord[] {
    return this.#byId.get(id) ?? [];
  }

  /** A row of it need not be there: whose it is has asked, and it came before that was answered. */
  mayBeGone(id: string): boolean {
    return this.recordsOf(id).some(({ text, firstSentMs }) => this.asked.some((one) => firstSentMs <= one.answeredMs && isOf(text, one)));
  }

  /** A row of it must not be there: it was answered before this one asked. */
  mustBeGone(id: string, one: Asked): boolean {
    return one.doneAt < Infinity && this.recordsOf(id).some(({ text, answeredAt }) => answeredAt !== null && answeredAt < one.askedAt && isOf(text, one));
  }

  /** Those that were rejected are taken for half of the time. */
  #personAt(choice: number): Person | null {
    const answered = [...this.#records.values()].filter(({ answeredAt, text }) => answeredAt !== null && APP.test(text) && USER.test(text));
    const rejected = answered.filter(({ isCounted }) => !isCounted);
    const among = rejected.length > 0 && choice < 0.5 ? rejected : answered;
    const text = among[Math.floor(((choice * 2) % 1) * among.length)]?.text ?? '';
    const [app, user] = [APP.exec(text)?.[1], USER.exec(text)?.[1]];
    return app === undefined || user === undefined ? null : { app, user };
  }

  #note(record: SentRecord): void {
    this.#records.set(record.text, record);
    const ids = idsOf(record);
    this.#ids.set(record, ids);
    for (const id of ids) this.#byId.set(id, [...this.recordsOf(id), record]);
  }

  #refused(error: unknown): null {
    if (!(error instanceof EngineError) && diskErrorCode(error) === '') this.#onBug(error);
    return null;
  }
}

export const isOf = (text: string, { app, user }: Person): boolean => text.includes(`"${user}"`) && (text.includes(`"${app}"`) || !text.includes('"app_id"'));

function idsOf({ text, source }: SentRecord): readonly string[] {
  const bytes = Buffer.from(text);
  const event = appsflyerPipeline.decode(bytes, 0, bytes.byteLength, source, 0);
  if (typeof event === 'string') return [];
  return (['push-ms', 'push+pull-seconds'] satisfies DedupeMode[]).flatMap((mode) => {
    const fingerprint = new Uint32Array(4);
    return appsflyerPipeline.fingerprint(event, mode, fingerprint) ? [fingerprintHex(fingerprint)] : [];
  });
}
