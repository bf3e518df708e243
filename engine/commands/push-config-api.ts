/**
 * AppsFlyer's Push configuration API (v1.0) over HTTPS: one bearer token, bounded answers, errors in its own words.
 *
 * The token goes into the Authorization header and nowhere else: whatever is told of an answer has been cleaned of it. Reads are tried again
 * after a fault that may pass; a PUT too, for it states the whole configuration.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { PushConfig, PushEndpoint } from '../../actors/appsflyer/push-config.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { isLoopbackUrl } from '../core/loopback.ts';

export const API_BASE = 'https://hq1.appsflyer.com/api/pushapi/v1.0';
const TIMEOUT_MS = 30_000;
const ANSWER_BYTES_MAX = 4 * 1024 ** 2;
const ATTEMPTS_MAX = 3;
const RETRY_MS = 1_000;

export interface PushConfigApiOptions {
  readonly base: string;
  readonly token: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const FIXES: Readonly<Record<number, string>> = {
  401: 'give a V2 token of this account; those made before 10 March 2026 were revoked',
  402: 'Push API is not part of this subscription: ask AppsFlyer',
  403: 'check the app id: it must be written as in the dashboard, with id before an iOS number',
  404: 'check --api-base',
  410: 'this version of the API has ended: check for a newer Millrace',
};

export class PushConfigApi {
  readonly #base: string;
  readonly #token: string;

  /** Raises CONFIG_INVALID for a base to which a token may not be sent, or a token that no header carries. */
  constructor({ base, token }: PushConfigApiOptions) {
    const url = URL.canParse(base) ? new URL(base) : null;
    if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackUrl(url)))) {
      throw new EngineError('CONFIG_INVALID', `--api-base ${base}: the token is sent over https alone`, { fix: `leave it out for ${API_BASE}` });
    }
    if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw new EngineError('CONFIG_INVALID', 'the API token is empty or holds blanks or characters that no header carries', { fix: 'give the token alone, in a file or a variable' });
    this.#base = base.replace(/\/+$/, '');
    this.#token = token;
  }

  async config(appId: string): Promise<PushConfig> {
    const body = await this.#asked('GET', `/app/${encodeURIComponent(appId)}`);
    const endpoints = (body as { endpoints?: unknown } | null)?.endpoints ?? [];
    if (!Array.isArray(endpoints) || !endpoints.every(isEndpoint)) throw this.#unreadable('the configuration');
    return { endpoints };
  }

  /** Replaces the whole configuration. */
  async putConfig(appId: string, config: PushConfig): Promise<void> {
    await this.#asked('PUT', `/app/${encodeURIComponent(appId)}`, config);
  }

  fields(platform: string): Promise<readonly string[]> {
    return this.#names(`/fields/${encodeURIComponent(platform)}`, 'fields');
  }

  eventTypes(entity: 'appsflyer' | 'skadnetwork'): Promise<readonly string[]> {
    return this.#names(`/event-types/${entity}`, 'event_types');
  }

  /** Has AppsFlyer call the address; the status that it got, 0 for none. */
  async validateUrl(url: string): Promise<number> {
    const body = (await this.#asked('POST', '/validate-url', { url, method: 'POST' })) as { tested_endpoint_url_http_response?: unknown } | null;
    const status = Number(body?.tested_endpoint_url_http_response);
    return Number.isInteger(status) ? status : 0;
  }

  /** What senders of this app's messages bring in a header from now on. */
  async putSenderToken(appId: string, token: string, name: string | null): Promise<void> {
    await this.#asked('PUT', `/tokens/app/${encodeURIComponent(appId)}`, { token, ...(name === null ? {} : { token_name: name }) });
  }

  async #names(path: string, key: string): Promise<readonly string[]> {
    const body = await this.#asked('GET', path);
    // An older text of the API has the bare list.
    const names = Array.isArray(body) ? (body as unknown[]) : (body as Readonly<Record<string, unknown>> | null)?.[key];
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw this.#unreadable(path);
    return names;
  }

  async #asked(method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#attempt(method, path, body).catch((error: unknown) => this.#clean(messageOf(error instanceof Error ? (error.cause ?? error) : error)));
      if (typeof answer !== 'string' && answer.status >= 200 && answer.status < 300) return answer.body;
      const mayPass = typeof answer === 'string' || answer.status === 429 || answer.status >= 500;
      if (mayPass && attempt < ATTEMPTS_MAX) {
        await pause(RETRY_MS * attempt);
        continue;
      }
      if (typeof answer === 'string') throw new EngineError('CONNECT_FAILED', `${this.#base}${path} does not answer (${answer})`, { fix: 'check the network, and --api-base' });
      const fix = FIXES[answer.status];
      throw new EngineError('CONNECT_FAILED', `${method} ${path} answered ${answer.status}: ${this.#wordsOf(answer.body)}`, fix === undefined ? {} : { fix });
    }
  }

  async #attempt(method: string, path: string, body: object | undefined): Promise<Answer> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // A token does not follow to another host.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await textOf(response);
    try {
      return { status: response.status, body: text === '' ? null : (JSON.parse(text) as unknown) };
    } catch {
      return { status: response.status, body: text };
    }
  }

  #wordsOf(body: unknown): string {
    const { code, message } = (typeof body === 'object' && body !== null ? body : {}) as { code?: unknown; message?: unknown };
    const words = [code, message].filter((word) => typeof word === 'string').join(': ');
    return this.#clean((words === '' ? (typeof body === 'string' ? body : JSON.stringify(body)) : words).slice(0, 500));
  }

  #clean(text: string): string {
    return text.replaceAll(this.#token, '***');
  }

  #unreadable(what: string): EngineError {
    return new EngineError('CONNECT_FAILED', `${what} came in a form that is not known`, { fix: 'check --api-base, or for a newer Millrace' });
  }
}

const isEndpoint = (value: unknown): value is PushEndpoint => typeof value === 'object' && value !== null && typeof (value as PushEndpoint).url === 'string';

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
