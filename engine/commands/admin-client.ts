/** Questions of a command to the admin port of the running daemon. What the daemon refuses is raised with its own code and words. */

import { ERROR_CODES, EngineError, messageOf, type ErrorCode } from '../core/errors.ts';
import type { ToldError } from '../runtime/admin-server.ts';

const ANSWER_MS_MAX = 60_000;

/** Raises NOT_READY when the daemon does not answer, or the error it answered with. */
export async function fetchJson<Value>(url: string): Promise<Value> {
  return jsonOf(url, await request(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) }));
}

/** Sends a body of JSON. Raises as {@link fetchJson} does. */
export async function postJson<Value>(url: string, body: object): Promise<Value> {
  return jsonOf(url, await request(url, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(ANSWER_MS_MAX) }));
}

const jsonOf = async <Value>(url: string, response: Response): Promise<Value> =>
  (await response.json().catch((error: unknown) => {
    throw cutShort(url, error);
  })) as Value;

/** An answer in lines of JSON, one each second while the daemon works: there is no limit on the whole. Raises as {@link fetchJson} does, and the error that a line holds. */
export async function* postForLines<Line extends object>(url: string): AsyncGenerator<Line> {
  const response = await request(url, { method: 'POST' });
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as Line;
    }
  } catch (error) {
    throw cutShort(url, error);
  }
}

/** An error as the daemon told it, behind `before` unless the daemon's words say all. */
export function toldError(told: Partial<ToldError>, before = ''): EngineError {
  const code = told.code !== undefined && told.code in ERROR_CODES ? (told.code as ErrorCode) : 'NOT_READY';
  return new EngineError(code, `${code === 'QUERY_INVALID' ? '' : before}${told.message ?? 'no reason given'}`);
}

/** Any answer of the daemon that is well. Raises as {@link fetchJson} does. */
export async function request(url: string, init: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> }): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { ...init.headers, ...credential() } });
  } catch (error) {
    throw new EngineError('NOT_READY', `${url} does not answer (${messageOf(error)})`, { fix: 'is the daemon running? give its admin address with --admin' });
  }
  if (response.ok) return response;
  const body = (await response.json().catch(() => null)) as { error?: Partial<ToldError> } | null;
  throw toldError(body?.error ?? {}, `${url} answered ${response.status}: `);
}

/** The token of the admin port, where it asks for one. */
function credential(): Record<string, string> {
  const token = (process.env['MILLRACE_ADMIN_TOKEN'] ?? '').trim();
  return token === '' ? {} : { authorization: `Bearer ${token}` };
}

const cutShort = (url: string, error: unknown): EngineError => new EngineError('NOT_READY', `${url} did not answer to the end (${messageOf(error)})`, { fix: 'look into the log of the daemon' });
