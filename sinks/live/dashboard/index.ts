/** The files of the live page, read once. They lie beside the sources: the build does not copy them. */

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const CONTENT_TYPES: Readonly<Record<string, string>> = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };

const directory = ['.', '../../../../sinks/live/dashboard'].map((place) => resolve(import.meta.dirname, place)).find((place) => existsSync(join(place, 'page.html'))) as string;
const cache = new Map<string, string>();

/** `name` is one of this folder's page files: never a client's input. */
export function dashboardFile(name: string): { contentType: string; body: string } {
  let body = cache.get(name);
  if (body === undefined) {
    body = readFileSync(join(directory, name), 'utf8');
    cache.set(name, body);
  }
  return { contentType: CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)] as string, body };
}
