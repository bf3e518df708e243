import { expect, test } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { hourlyTable } from '../../../sinks/lake/hourly-table.ts';
import { cellOf, joined, TEST_SCHEMA } from '../../conformance/memory-feed.ts';

test('a row of hourly/ is a cell that has records, and an hour may have none', async () => {
  const cells = [3, 0].map((records, at) => cellOf({ kind: CellKind.hour, windowStartMs: 0, dimensions: joined('c', `app${at}`, 'm', 'DE', 'phone'), records }));
  const rowsOf = async (of: typeof cells): Promise<number> => (await hourlyTable(TEST_SCHEMA, of, 1, () => Promise.resolve())).rowCount;
  expect(await rowsOf(cells)).toBe(1);
  expect(await rowsOf(cells.slice(1))).toBe(0);
});
