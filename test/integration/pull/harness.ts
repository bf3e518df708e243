/** A poller in this process against the peer, in a world that it can be asked about: a clock that is set, a journal that is a list, a lake that is a set. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineError } from '../../../engine/core/errors.ts';
import { Poller, type IdentityFacts, type KnownQuestion, type PullPorts } from '../../../ingress/pull/index.ts';
import { pullOptionsSchema } from '../../../ingress/pull/options.ts';
import type { PullPeer } from '../../peers/appsflyer-pull.ts';

const HOUR = 3_600_000;

export interface World {
  readonly records: string[];
  readonly logs: { readonly level: string; readonly text: string; readonly facts: Readonly<Record<string, unknown>> }[];
  readonly questions: KnownQuestion[];
  readonly directory: string;
  readonly ports: PullPorts;
  /** Epoch ms; stands still. */
  nowMs: number;
  stateText: string | null;
  token: string;
  hasRoom: boolean;
  /** Errors that the next requests meet. */
  readonly appendFaults: EngineError[];
  /** The event_name of what the lake has; null where it cannot tell. */
  lake: Set<string> | null;
  lakeFault: EngineError | null;
  /** Called with each request of records. */
  onAppend: () => void;
  remove(): void;
}

export function newWorld(peer: PullPeer, nowMs: number): World {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pull-'));
  const world: World = {
    records: [],
    logs: [],
    questions: [],
    directory,
    nowMs,
    stateText: null,
    token: peer.token,
    hasRoom: true,
    appendFaults: [],
    lake: new Set(),
    lakeFault: null,
    onAppend: () => undefined,
    remove: () => {
      rmSync(directory, { recursive: true, force: true });
    },
    ports: {
      clock: { nowMs: () => world.nowMs, monotonicMs: () => performance.now() },
      random: () => 1,
      pause: () => new Promise((resolve) => setTimeout(resolve, 5)),
      append: async (records) => {
        const fault = world.appendFaults.shift();
        if (fault !== undefined) throw fault;
        world.onAppend();
        for (const record of records) world.records.push(Buffer.from(record).toString('utf8'));
        return { accepted: records.length, rejected: [] };
      },
      known: async (question) => {
        world.questions.push(question);
        if (world.lakeFault !== null) throw world.lakeFault;
        if (world.lake === null) return null;
        const ids = Array.from({ length: question.ids.length / 16 }, (_, index) => Buffer.from(question.ids.subarray(16 * index, 16 * index + 16)).toString('latin1').replace(/\0+$/, ''));
        return Uint8Array.from(ids, (id) => (world.lake?.has(id) === true ? 1 : 0));
      },
      identify: (record, out, at) => {
        out.set(Buffer.from((JSON.parse(Buffer.from(record).toString('utf8')) as { event_name: string }).event_name).subarray(0, 16), at);
        return true;
      },
      state: {
        read: () => world.stateText,
        write: (text) => {
          world.stateText = text;
        },
      },
      token: () => world.token,
      directory: join(directory, 'pull'),
      hasRoom: () => world.hasRoom,
      log: (level, facts, text) => {
        world.logs.push({ level, facts, text });
      },
    },
  };
  return world;
}

export const IDENTITY: IdentityFacts = { horizonMs: 72 * HOUR, sinceMs: 0, rememberedSinceMs: 0 };

export const optionsOf = (peer: PullPeer, given: object = {}): ReturnType<typeof pullOptionsSchema.parse> => pullOptionsSchema.parse({ apps: ['com.example.shop'], reports: ['in_app_events_report'], token: peer.token, url: peer.url, calls_per_day: 24, ...given });

/** Runs until the condition holds, then stops the poller. */
export async function runUntil(world: World, peer: PullPeer, condition: (poller: Poller) => boolean, given: object = {}, identity: IdentityFacts = IDENTITY): Promise<Poller> {
  const poller = new Poller({ options: optionsOf(peer, given), identity, ports: world.ports });
  poller.start();
  try {
    await until(() => condition(poller));
  } finally {
    await poller.stop();
  }
  return poller;
}

export async function until(condition: () => boolean, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('timeout');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const csvTime = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ');
