import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_TIME, readTimeMs } from '../../../actors/appsflyer/times.ts';

const read = (text: string): number => {
  const bytes = Buffer.from(`9${text}9`);
  return readTimeMs(bytes, 1, bytes.byteLength - 1);
};

describe('readTimeMs', () => {
  it.each([
    ['2026-05-03 10:15:42.318', Date.UTC(2026, 4, 3, 10, 15, 42, 318)],
    ['2026-05-03 10:15:42', Date.UTC(2026, 4, 3, 10, 15, 42)],
    ['2026-05-03T10:15:42.3Z', Date.UTC(2026, 4, 3, 10, 15, 42, 300)],
    ['2026-05-03 10:15:42.318999', Date.UTC(2026, 4, 3, 10, 15, 42, 318)],
    ['2026-05-03 12:15:42.318+0200', Date.UTC(2026, 4, 3, 10, 15, 42, 318)],
    ['2026-05-03 04:45:42-05:30', Date.UTC(2026, 4, 3, 10, 15, 42)],
    ['2024-02-29 00:00:00', Date.UTC(2024, 1, 29)],
    ['2000-02-29 00:00:00', Date.UTC(2000, 1, 29)],
    ['1970-01-01 00:00:00', 0],
    ['9999-12-31 23:59:59.999', Date.UTC(9999, 11, 31, 23, 59, 59, 999)],
  ])('reads %s', (text, timeMs) => {
    expect(read(text)).toBe(timeMs);
  });

  it.each([
    'yesterday', '', '2026-05-03', '2026-05-03 10:15', '2026-05-03 10:15:4', '2026-13-03 10:15:42', '2026-00-03 10:15:42', '2026-04-31 10:15:42', '2023-02-29 10:15:42', '1900-02-29 10:15:42', '2100-02-29 10:15:42',
    '2026-05-00 10:15:42', '2026-05-03 24:00:00', '2026-05-03 10:60:00', '2026-05-03 10:15:60', '1969-12-31 23:59:59', '1970-01-01 00:00:00+0100', '2026-05-03 10:15:42.', '2026-05-03 10:15:42,318', '2026-05-03 10:15:42 +0200',
    '2026-05-03 10:15:42+02', '2026-05-03 10:15:42+1500', '2026-05-03 10:15:42+0260', '2026-05-03 10:15:42Zx', '2026-05-03_10:15:42', '2026/05/03 10:15:42', '+026-05-03 10:15:42', '1777803342', '2026-05-03 10:15:42.3x8', '２026-05-03 10:15:42',
  ])('finds no time in %j', (text) => {
    expect(read(text)).toBe(NO_TIME);
  });

  it('agrees with the calendar for any moment from 1970 to 9999', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31, 23, 59, 59, 999) }), (timeMs) => {
        const text = new Date(timeMs).toISOString();
        expect(read(text)).toBe(timeMs);
        expect(read(text.replace('T', ' ').replace('Z', ''))).toBe(timeMs);
      }),
      { numRuns: 2_000 },
    );
  });
});
