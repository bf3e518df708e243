import { describe, expect, it } from 'vitest';
import { EVENT_BYTES_MAX } from '../../../actors/appsflyer/decode.ts';
import { costsBytesMax, ingressOptionsSchema } from '../../../ingress/options.ts';

describe('ingest settings', () => {
  it('have a default each, and take numbers as words from the environment', () => {
    expect(ingressOptionsSchema.parse({})).toMatchObject({ port: 8080, host: '0.0.0.0', record_bytes_max: 1_048_576, events_bytes_max: 16_777_216, body_timeout_ms: 10_000 });
    expect(ingressOptionsSchema.parse({ port: '9000' }).port).toBe(9_000);
  });

  it('let no record in that the decoder would not read', () => {
    expect(ingressOptionsSchema.safeParse({ record_bytes_max: EVENT_BYTES_MAX }).success).toBe(true);
    expect(ingressOptionsSchema.safeParse({ record_bytes_max: EVENT_BYTES_MAX + 1 }).success).toBe(false);
  });

  it('refuse unknown keys, values out of bounds, and limits that contradict each other', () => {
    const problem = (settings: object): PropertyKey[] | undefined => ingressOptionsSchema.safeParse(settings).error?.issues[0]?.path;
    expect(ingressOptionsSchema.safeParse({ prot: 1 }).success).toBe(false);
    expect(problem({ port: 65_536 })).toEqual(['port']);
    expect(problem({ record_bytes_max: 2_048, events_bytes_max: 1_024 })).toEqual(['record_bytes_max']);
    expect(problem({ in_flight_bytes_max: 16 * 1024 ** 2 })).toEqual(['events_bytes_max']);
  });

  it('let a small budget stand that knows nothing of costs, whose default gives way to it; what was set is refused', () => {
    const small = { record_bytes_max: 65_536, events_bytes_max: 524_288, in_flight_bytes_max: 1_048_576 };
    expect(costsBytesMax(ingressOptionsSchema.parse(small))).toBe(524_288);
    expect(costsBytesMax(ingressOptionsSchema.parse({}))).toBe(4 * 1024 ** 2);
    expect(ingressOptionsSchema.safeParse({ ...small, costs_bytes_max: 600_000 }).error?.issues[0]?.path).toEqual(['costs_bytes_max']);
  });
});
