/** Rows under construction: one builder per column, filled side by side. */

import type { CellValue, ColumnBuilder, ColumnType, TableData } from './column-builder.ts';
import { createColumnBuilder } from './column-builder.ts';

export interface ColumnShape {
  readonly name: string;
  readonly type: ColumnType;
}

/** The caller appends one value to every column of `columns`, then calls `endRow`. */
export class TableBuilder {
  readonly columns: readonly ColumnBuilder[];
  rowCount = 0;

  constructor(shapes: readonly ColumnShape[]) {
    this.columns = shapes.map(({ name, type }) => createColumnBuilder(name, type));
  }

  endRow(): void {
    this.rowCount++;
  }

  /** One whole row, where speed does not matter. */
  appendRow(values: readonly CellValue[]): void {
    this.columns.forEach((column, index) => column.append(values[index] ?? null));
    this.rowCount++;
  }

  /** Begins again without a row, in the memory that it has. */
  reset(): void {
    for (const column of this.columns) column.reset();
    this.rowCount = 0;
  }

  /** Views of this builder's buffers, valid until the next row or `reset`. */
  finish(): TableData {
    return { rowCount: this.rowCount, columns: this.columns.map((column) => column.finish()) };
  }
}
