/**
 * The dictionary behind `/v1/definitions`: what every name in the answers means, generated from the pipeline's declaration.
 */

import type { Meaning } from '../../engine/core/pipeline.ts';
import { appsflyerPipeline } from './pipeline.ts';
import { CONVERSION_EVENTS_MAX } from './rules.ts';

export interface Definition {
  readonly name: string;
  readonly role: 'dimension' | 'measure' | 'breakdown' | 'label';
  readonly title: string;
  readonly formula: string;
  readonly source_fields: readonly string[];
  /** AppsFlyer's own name for it; absent where its reports have none. */
  readonly appsflyer_name?: string;
  /** Measures only. */
  readonly unit?: 'count' | 'micros';
  /** Dimensions only: distinct values counted before `other`, by default. */
  readonly values_max?: number;
}

export interface Dictionary {
  readonly pipeline: string;
  readonly version: number;
  readonly windows: readonly { readonly kind: string; readonly size_ms: number; readonly closes: boolean }[];
  readonly definitions: readonly Definition[];
  readonly lake_columns: readonly { readonly name: string; readonly type: string }[];
  readonly notes: readonly string[];
}

interface Described {
  readonly name: string;
  readonly meaning: Meaning;
}

const definition = (role: Definition['role'], { name, meaning }: Described): Definition => ({
  name,
  role,
  title: meaning.title,
  formula: meaning.formula,
  source_fields: meaning.sourceFields,
  ...(meaning.externalName === undefined ? {} : { appsflyer_name: meaning.externalName }),
});

/** Builds the dictionary; plain JSON. */
export function dictionary(): Dictionary {
  const pipeline = appsflyerPipeline;
  return {
    pipeline: pipeline.name,
    version: pipeline.version,
    windows: pipeline.windows.map((window) => ({ kind: window.kind, size_ms: window.sizeMs, closes: window.judged })),
    definitions: [
      ...pipeline.dimensions.map((each) => ({ ...definition('dimension', each), values_max: each.valuesMax })),
      ...pipeline.measures.map((each) => ({ ...definition('measure', each), unit: each.unit })),
      definition('breakdown', pipeline.breakdown),
      ...pipeline.labels.map((each) => definition('label', each)),
    ],
    lake_columns: pipeline.lakeColumns.map((column) => ({ name: column.name, type: column.type })),
    notes: [
      'A record is primary unless its is_primary_attribution is false.',
      'Absent, null, empty, N/A and NULL are one.',
      'Source fields are those of Push v2; names of Push v1 and of S2S bodies stand for them.',
      'Copies by the S2S route count for the apps in apps.s2s_authoritative, as in-app events without attribution, and for no others.',
      'Micros are millionths of a US dollar; more than six decimals are rounded half to even.',
      `by_event holds the configured conversion events, at most ${CONVERSION_EVENTS_MAX}.`,
    ],
  };
}
