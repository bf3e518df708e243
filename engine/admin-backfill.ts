/** The admin route of back-fills: begins one, or goes on with one of the same words, and tells how far it is in a line of JSON each second until it is done. */

import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { PullBackfillFigures } from '../ingress/pull/index.ts';
import { parseQuery } from './admin-query.ts';
import { EngineError } from './core/errors.ts';
import { z } from './core/schema.ts';
import type { PullService } from './pull-service.ts';
import type { AdminReply, AdminRoute } from './runtime/admin-server.ts';

/** Sums over its parts, one for each app and report. */
export interface BackfillLine {
  readonly windows_done: number;
  readonly windows_pending: number;
  readonly rows: number;
  readonly known: number;
  readonly skipped: number;
  readonly malformed: number;
  /** What parts wait for. */
  readonly waits: readonly string[];
}

const INTERVAL_MS = 1_000;
const WAITS_MAX = 10;

const time = z.string().max(40).refine((text) => Number.isFinite(Date.parse(text)), 'must be an ISO time such as 2026-11-01 or 2026-11-01T10:00Z');
const list = z.string().max(16_000).optional();

const backfillQuerySchema = z.strictObject({ from: time, to: time.optional(), app: list, report: list });

const items = (text: string | undefined): string[] => (text ?? '').split(',').map((item) => item.trim()).filter((item) => item !== '');

export function backfillRoute(pull: () => PullService | null, nowMs: () => number): AdminRoute {
  return {
    method: 'POST',
    path: '/v1/backfills',
    summary: 'Read days of Pull reports again: what the lake has already is left out',
    query: backfillQuerySchema,
    answers: { 200: 'a line of JSON each second until it is done; it goes on when the client leaves, and over restarts', 400: 'a parameter is wrong: key, value and fix', 503: 'the Pull poller is off or starting' },
    contentType: 'application/x-ndjson',
    lasting: true,
    handle: async (request) => {
      const query = parseQuery(backfillQuerySchema, request.query);
      const service = pull();
      if (service === null) throw new EngineError('NOT_READY', 'the Pull poller is off: set pull.apps and pull.token');
      const keys = await service.backfill({ apps: items(query.app), reports: items(query.report), fromMs: Date.parse(query.from), toMs: query.to === undefined ? nowMs() : Date.parse(query.to) });
      return backfillReply(service, new Set(keys));
    },
  };
}

function backfillReply(service: PullService, keys: ReadonlySet<string>): AdminReply {
  return { contentType: 'application/x-ndjson', body: Readable.from(lines(service, keys)) };
}

async function* lines(service: PullService, keys: ReadonlySet<string>): AsyncGenerator<string> {
  for (;;) {
    const line = sumOf(service.figures.backfills.filter(({ key }) => keys.has(key)));
    yield `${JSON.stringify(line)}\n`;
    if (line.windows_pending === 0) return;
    await pause(INTERVAL_MS);
  }
}

function sumOf(parts: readonly PullBackfillFigures[]): BackfillLine {
  const sum = (figure: (part: PullBackfillFigures) => number): number => parts.reduce((total, part) => total + figure(part), 0);
  return {
    windows_done: sum(({ windowsDone }) => windowsDone),
    windows_pending: sum(({ windowsPending }) => windowsPending),
    rows: sum(({ rows }) => rows),
    known: sum(({ known }) => known),
    skipped: sum(({ skipped }) => skipped),
    malformed: sum(({ malformed }) => malformed),
    waits: [...new Set(parts.flatMap(({ app, report, waits }) => (waits === null ? [] : [`${report} of ${app}: ${waits}`])))].slice(0, WAITS_MAX),
  };
}
