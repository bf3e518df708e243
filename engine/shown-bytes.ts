/**
 * What the admin port shows of a record's bytes: under a privacy policy, the record with its personal fields hashed, cut or gone.
 *
 * The policy is that of the running configuration, for what is shown is shown now. Bytes that are no whole JSON object are withheld then: nobody
 * can tell what is personal in them. `GET /v1/dead-letters/<partition>/<id>` is the way back of a record and gives it as it is.
 */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import type { RuleResources } from './core/rule-resources.ts';

export const ERASED = '(of a user who was erased)';
export const WITHHELD = '(withheld: not a whole JSON object, and privacy.fields is set)';

export interface ShownBytes {
  /** At most `bytesMax` bytes of it, as text. */
  (bytes: Buffer, bytesMax: number, receivedAtMs: number): string;
  /** A policy is on. */
  readonly hides: boolean;
}

/** `domain`: the domain's rules. */
export function shownBytesOf(domain: unknown, resources: RuleResources): ShownBytes {
  const { shield } = appsflyerPipeline.domainRules(domain, resources);
  if (shield === null) return Object.assign((bytes: Buffer, bytesMax: number) => bytes.toString('utf8', 0, bytesMax), { hides: false });
  const shown = (bytes: Buffer, bytesMax: number, receivedAtMs: number): string => {
    const text = shield.record(bytes.toString('utf8'), receivedAtMs);
    return text === null ? WITHHELD : Buffer.from(text).toString('utf8', 0, bytesMax);
  };
  return Object.assign(shown, { hides: true });
}
