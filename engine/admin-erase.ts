/** The admin routes of erasures: the user comes in the body, never in an address that a proxy logs. */

import { APP_ID_LENGTH_MAX } from '../actors/appsflyer/apps.ts';
import { isPlaceholder } from '../actors/appsflyer/placeholders.ts';
import { parseQuery } from './admin-query.ts';
import { EngineError } from './core/errors.ts';
import { z } from './core/schema.ts';
import type { EraseDesk } from './erase-desk.ts';
import { errorReply, json, type AdminRoute } from './runtime/admin-server.ts';

const JSON_TYPE = 'application/json';
/** No id is longer (actors/appsflyer/event-value.ts). */
const USER_CHARACTERS_MAX = 512;

const askedSchema = z.strictObject({
  app_id: z.string().min(1).max(APP_ID_LENGTH_MAX).describe('as AppsFlyer sends it: iOS with id'),
  user: z
    .string()
    .min(1)
    .max(USER_CHARACTERS_MAX)
    .refine((user) => !isPlaceholder(user), 'stands for no user: give an id of one')
    .describe('a value of any field that names a user: appsflyer_id, customer_user_id, advertising_id, idfa, idfv, …'),
});
const receiptSchema = z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/, 'give the id that POST /v1/erasures answered') });

/** `desk`: null until recovery is complete. */
export function eraseRoutes(desk: () => EraseDesk | null): AdminRoute[] {
  const opened = (): EraseDesk => {
    const there = desk();
    if (there === null) throw new EngineError('NOT_READY', 'recovery has not finished: try again shortly');
    return there;
  };
  return [
    {
      method: 'POST',
      path: '/v1/erasures',
      summary: 'Erase a user of an app from dead letters and from the lake; totals stay. Repeating it is harmless',
      body: askedSchema,
      answers: { 202: 'durable and under way: the id of its receipt', 400: 'the body is no such JSON', 413: 'the body is too long', 503: 'not ready, or too many are under way' },
      contentType: JSON_TYPE,
      handle: async ({ body }) => {
        const asked = parseQuery(askedSchema, (body ?? {}) as Record<string, unknown>);
        const id = await opened().ask({ appId: asked.app_id, user: asked.user }).catch((error: unknown) => {
          if (error instanceof EngineError && error.code === 'DOOR_CLOSED') throw new EngineError('NOT_READY', error.message, { cause: error, fix: 'try again in a moment' });
          throw error;
        });
        return json({ id, receipt: `/v1/erasures/${id}` }, 202);
      },
    },
    {
      method: 'GET',
      path: '/v1/erasures/:id',
      summary: 'The receipt of an erasure or a purge: what it has removed, what it has not reached, and whether it is done',
      params: receiptSchema,
      answers: { 200: 'the receipt; done tells whether all places are through. The same lies in the lake as millrace/erasures/<id>.json once it is', 400: 'no id', 404: 'there is none of that id', 503: 'not ready, or the receipt lies in a lake that is away' },
      contentType: JSON_TYPE,
      handle: async ({ params }) => {
        const { id } = parseQuery(receiptSchema, params);
        const receipt = await opened().receipt(id).catch((error: unknown) => {
          if (error instanceof EngineError && error.retryable) throw new EngineError('NOT_READY', `the receipt lies in the lake, which is away: ${error.message}`, { cause: error, fix: 'try again once it is back' });
          throw error;
        });
        return receipt === null ? errorReply(404, 'NOT_FOUND', `there is no erasure ${id}`) : json(receipt);
      },
    },
  ];
}
