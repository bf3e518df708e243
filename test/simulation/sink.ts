/**
 * An outer system at the end of a bad line: it may be away, mute, slow beyond all patience, flushed, or put back to an older copy. What
 * a dead daemon has sent may still land, but not in a copy: whoever serves that has never seen the connection.
 */

import type { MergedCell } from '../../engine/core/cell.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { ChangedCells, ResultFeed, Sink, SinkMarker } from '../../engine/core/feed.ts';
import { MemorySink, MemorySystem } from '../conformance/memory-sink.ts';
import type { World } from './world.ts';

interface Copy {
  readonly cells: Map<string, { cell: MergedCell; generation: number }>;
  readonly marker: SinkMarker | null;
}

export class SimulatedSystem extends MemorySystem {
  mute = false;
  /** What is written takes so long to land; 0 for none. */
  hangMs = 0;
  /** Requests that have not landed. */
  inFlight = 0;
  /** Connections of before are closed. */
  connection = 0;
  #copy: Copy = { cells: new Map(), marker: null };

  /** For {@link restore}. */
  copy(): void {
    this.#copy = { cells: new Map(this.cells), marker: this.marker };
  }

  restore(): void {
    this.cells.clear();
    for (const [key, held] of this.#copy.cells) this.cells.set(key, held);
    this.marker = this.#copy.marker;
    this.connection++;
  }

  recover(): void {
    this.away = false;
    this.mute = false;
    this.hangMs = 0;
  }
}

export class SimulatedSink implements Sink {
  readonly name = 'memory';
  readonly intervalMs = 0;
  readonly #inner: MemorySink;
  readonly #system: SimulatedSystem;
  readonly #world: World;
  readonly #isAlive: () => boolean;
  #connection = -1;

  constructor(options: { readonly system: SimulatedSystem; readonly world: World; readonly isAlive: () => boolean }) {
    this.#system = options.system;
    this.#world = options.world;
    this.#isAlive = options.isAlive;
    this.#inner = new MemorySink(options.system);
    this.#inner.hook = () => this.#onTheWay();
  }

  open(): Promise<SinkMarker | null> {
    this.#connection = this.#system.connection;
    return this.#step(() => this.#inner.open());
  }

  write(changed: ChangedCells, feed: ResultFeed): Promise<void> {
    return this.#step(() => this.#inner.write(changed, feed));
  }

  mark(marker: SinkMarker): Promise<void> {
    return this.#step(() => this.#inner.mark(marker));
  }

  check(): Promise<SinkMarker | null> {
    return this.#step(() => this.#inner.check());
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #step<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#world.step();
    if (!this.#isAlive()) throw new Error('the process is gone');
    const { connection, mute } = this.#system;
    if (connection !== this.#connection) throw new EngineError('SINK_UNAVAILABLE', 'the connection was closed');
    const value = await work();
    if (mute) throw new EngineError('SINK_UNAVAILABLE', 'no answer');
    return value;
  }

  async #onTheWay(): Promise<void> {
    const { hangMs, connection } = this.#system;
    if (hangMs === 0) return;
    this.#system.inFlight++;
    await this.#world.sleep(this.#world.pick(1, hangMs));
    this.#system.inFlight--;
    if (connection !== this.#system.connection) throw new EngineError('SINK_UNAVAILABLE', 'the connection was closed');
  }
}
