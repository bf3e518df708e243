/** A sink that keeps its values in memory and fails on demand: proves the sink writer, and the conformance suite itself. */

import type { MergedCell } from '../../engine/core/cell.ts';
import { cellMapKey } from '../../engine/core/cell.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { ChangedCells, ResultFeed, Sink, SinkMarker } from '../../engine/core/feed.ts';

/** The outer system; several sinks may stand before it. */
export class MemorySystem {
  readonly cells = new Map<string, { cell: MergedCell; generation: number }>();
  marker: SinkMarker | null = null;
  away = false;
  /** Cells whose result key is this one are refused. */
  refusedKey: string | null = null;

  forget(): void {
    this.cells.clear();
    this.marker = null;
  }

  /** Returns what puts all that is here now in the place of what is here then. */
  takeCopy(): () => void {
    const cells = [...this.cells];
    const { marker } = this;
    return () => {
      this.cells.clear();
      for (const [key, stored] of cells) this.cells.set(key, stored);
      this.marker = marker;
    };
  }
}

export class MemorySink implements Sink {
  readonly name = 'memory';
  intervalMs = 0;
  readonly system: MemorySystem;
  readonly calls: string[] = [];
  inFlight = 0;
  inFlightMax = 0;
  closedCount = 0;
  #held: SinkMarker | null = null;
  /** Called within each step; what it raises the step raises, what it returns the step waits for. */
  hook: (step: 'open' | 'write' | 'mark' | 'check') => Promise<void> | void = () => undefined;

  constructor(system = new MemorySystem()) {
    this.system = system;
  }

  async open(): Promise<SinkMarker | null> {
    await this.#step('open');
    return (this.#held = this.system.marker);
  }

  async write(changed: ChangedCells, feed: ResultFeed): Promise<void> {
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    try {
      await this.#step('write');
      let refused = 0;
      for (const cell of changed.cells) {
        if (this.system.refusedKey !== null && cell.dimensions.startsWith(this.system.refusedKey)) refused++;
        else this.#store(cell, feed.generation);
      }
      if (refused > 0) throw new EngineError('SINK_REFUSED', `${refused} of ${changed.cells.length} refused`);
    } finally {
      this.inFlight--;
    }
  }

  async mark(marker: SinkMarker): Promise<void> {
    // What is expected goes with the request, however late it lands.
    const expected = this.#held;
    await this.#step('mark');
    if (this.system.marker !== expected) throw new EngineError('SINK_REFUSED', 'memory no longer holds the marker written last');
    this.system.marker = this.#held = marker;
  }

  async check(): Promise<SinkMarker | null> {
    await this.#step('check');
    return (this.#held = this.system.marker);
  }

  async close(): Promise<void> {
    this.closedCount++;
  }

  #store(cell: MergedCell, generation: number): void {
    const key = cellMapKey(cell);
    const held = this.system.cells.get(key);
    if (held !== undefined && (held.generation > generation || (held.generation === generation && held.cell.revision > cell.revision))) return;
    this.system.cells.set(key, { cell, generation });
  }

  async #step(step: 'open' | 'write' | 'mark' | 'check'): Promise<void> {
    this.calls.push(step);
    await this.hook(step);
    if (this.system.away) throw new EngineError('SINK_UNAVAILABLE', 'memory is away');
  }
}
