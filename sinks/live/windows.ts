/**
 * Cells in memory, by window: whole recent windows, so that hot reads touch no disk, and of other windows the cells that the
 * change log holds and the tables do not have yet.
 *
 * Bounded by cells: the window that has not changed for longest loses those that the tables have. Main thread.
 */

import type { CellKind, CellName, MergedCell } from '../../engine/core/cell.ts';
import { DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';

/** A cell in memory; changed in place. */
export interface LiveCell {
  cell: MergedCell;
  /** Its latest change; 0 once its window is past retention. */
  changeNumber: number;
  /** The change number under which the tables have the cell, 0 when they do not. */
  indexedNumber: number;
}

export class LiveWindow {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly cells = new Map<string, LiveCell>();
  /** No cell of the window is missing here. */
  complete: boolean;
  /** By the first dimension's value. */
  readonly #byResultKey = new Map<string, Set<LiveCell>>();

  constructor(kind: CellKind, windowStartMs: number, complete: boolean) {
    this.kind = kind;
    this.windowStartMs = windowStartMs;
    this.complete = complete;
  }

  add(live: LiveCell): void {
    const { dimensions } = live.cell;
    this.cells.set(dimensions, live);
    const resultKey = resultKeyOf(dimensions);
    const group = this.#byResultKey.get(resultKey);
    if (group === undefined) this.#byResultKey.set(resultKey, new Set([live]));
    else group.add(live);
  }

  remove(dimensions: string): boolean {
    const live = this.cells.get(dimensions);
    if (live === undefined) return false;
    this.cells.delete(dimensions);
    const resultKey = resultKeyOf(dimensions);
    const group = this.#byResultKey.get(resultKey);
    group?.delete(live);
    if (group?.size === 0) this.#byResultKey.delete(resultKey);
    return true;
  }

  /** The cells here, in no order. */
  select(resultKey: string | null): MergedCell[] {
    const cells: MergedCell[] = [];
    for (const live of (resultKey === null ? this.cells.values() : this.#byResultKey.get(resultKey)) ?? []) cells.push(live.cell);
    return cells;
  }
}

const resultKeyOf = (dimensions: string): string => {
  const end = dimensions.indexOf(DIMENSION_SEPARATOR);
  return end < 0 ? dimensions : dimensions.slice(0, end);
};

export class LiveWindows {
  /** In order of last change. */
  readonly #windows = new Map<number, LiveWindow>();
  #size = 0;

  /** Cells in memory. */
  get size(): number {
    return this.#size;
  }

  get(kind: CellKind, windowStartMs: number): LiveWindow | undefined {
    return this.#windows.get(windowKey(kind, windowStartMs));
  }

  find(name: CellName): LiveCell | undefined {
    return this.get(name.kind, name.windowStartMs)?.cells.get(name.dimensions);
  }

  /** The window, made when there is none, as the one that has changed last. */
  touch(kind: CellKind, windowStartMs: number, completeIfNew: boolean): LiveWindow {
    const key = windowKey(kind, windowStartMs);
    const window = this.#windows.get(key) ?? new LiveWindow(kind, windowStartMs, completeIfNew);
    this.#windows.delete(key);
    this.#windows.set(key, window);
    return window;
  }

  add(window: LiveWindow, live: LiveCell): void {
    window.add(live);
    this.#size++;
  }

  /** The tables have the cell as it is now: a window that is not whole does not need it in memory. */
  release(live: LiveCell): void {
    const window = this.get(live.cell.kind, live.cell.windowStartMs);
    if (window === undefined || window.complete || window.cells.get(live.cell.dimensions) !== live) return;
    if (window.remove(live.cell.dimensions)) this.#size--;
    if (window.cells.size === 0) this.#windows.delete(windowKey(window.kind, window.windowStartMs));
  }

  /** Makes room: of the windows unchanged for longest, only what changed at or after `logStart` stays. */
  trim(cellsMax: number, logStart: number): void {
    for (const window of this.#windows.values()) {
      if (this.#size <= cellsMax) return;
      if (window.complete) this.demote(window, logStart);
    }
  }

  /** The window is no longer whole: of its cells, those that the tables have leave the memory. */
  demote(window: LiveWindow, logStart: number): void {
    window.complete = false;
    for (const live of window.cells.values()) if (live.changeNumber < logStart) this.release(live);
    if (window.cells.size === 0) this.#windows.delete(windowKey(window.kind, window.windowStartMs));
  }

  /** Forgets all windows of a kind that start at or before `lastStartMs`. */
  expire(kind: CellKind, lastStartMs: number): void {
    for (const [key, window] of this.#windows) {
      if (window.kind !== kind || window.windowStartMs > lastStartMs) continue;
      for (const live of window.cells.values()) live.changeNumber = 0;
      this.#size -= window.cells.size;
      this.#windows.delete(key);
    }
  }

  /** Start of the first window of a kind at or after `fromMs` that has cells here; null for none. */
  nextStart(kind: CellKind, fromMs: number): number | null {
    let next: number | null = null;
    for (const window of this.#windows.values()) {
      if (window.kind === kind && window.windowStartMs >= fromMs && (next === null || window.windowStartMs < next)) next = window.windowStartMs;
    }
    return next;
  }

  /** Start of the newest window of a kind that has cells here; null for none. */
  newestStart(kind: CellKind): number | null {
    let newest: number | null = null;
    for (const window of this.#windows.values()) if (window.kind === kind && (newest === null || window.windowStartMs > newest)) newest = window.windowStartMs;
    return newest;
  }
}

/** Kinds are below 4, and window starts below 2^48: the product is a safe integer. */
const windowKey = (kind: CellKind, windowStartMs: number): number => windowStartMs * 4 + kind;
