/** The one check of an admin route's parameters. */

import { EngineError } from './core/errors.ts';
import type { z } from './core/schema.ts';

/** Raises an input error that names key, value and fix. */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, query: Readonly<Record<string, unknown>>): z.output<Schema> {
  const parsed = schema.safeParse(query);
  if (parsed.success) return parsed.data;
  const text = parsed.error.issues.map((issue) => (issue.code === 'unrecognized_keys' ? `${issue.keys.join(', ')}: no such parameter: remove it` : `${issue.path.join('.')}: ${JSON.stringify(query[String(issue.path[0])])}: ${issue.message}`)).join('; ');
  throw new EngineError('QUERY_INVALID', text);
}
