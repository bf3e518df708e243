import { expect, it } from 'vitest';
import { RecordSource, SOURCE_NAMES } from '../../../engine/core/record.ts';
import { ROUTES } from '../../../ingress/http/routes.ts';

it('each source has one name, that of its route where it has one', () => {
  const names = Object.values(RecordSource).map((source) => SOURCE_NAMES[source]);
  expect(new Set(names).size).toBe(names.length);
  for (const { source, kind } of ROUTES) expect(SOURCE_NAMES[source]).toBe(kind);
});
