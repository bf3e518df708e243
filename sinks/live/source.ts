/** What queries read from; the live store is one, a test's array another. */

import type { CellKind, MergedCell } from '../../engine/core/cell.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';

export interface CellSource {
  readonly schema: ResultSchema;
  readonly finalUpToMs: number;
  /** -1 before the first. */
  readonly watermarkMs: number;
  /** When the cells were last written; -1 before the first time. */
  readonly asOfMs: number;
  nextWindow(kind: CellKind, fromMs: number): number | null;
  newestWindow(kind: CellKind): number | null;
  /** Cells of one window, each once, in no order. The reader may pause between pages and while it reads one. */
  windowPages(kind: CellKind, windowStartMs: number, resultKey: string | null): Iterable<readonly MergedCell[]>;
}
