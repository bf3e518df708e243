/**
 * A marker in the lake: a small object that says how far the lake has been fed, written after what it speaks for and replaced only where it is the
 * one that was left there. Readers of Parquet do not see it. Main thread.
 */

import type { SinkMarker } from '../../engine/core/feed.ts';
import type { LakeTarget } from './target.ts';

const MARKER_BYTES_MAX = 4_096;

export class LakeMarker {
  readonly name: string;
  readonly #target: LakeTarget;
  /** As it was last read or written; null for none. */
  text: string | null = null;

  constructor(target: LakeTarget, name: string) {
    this.#target = target;
    this.name = name;
  }

  /** What the lake has now; it is not remembered by this. */
  async read(): Promise<string | null> {
    const bytes = await this.#target.get(this.name, MARKER_BYTES_MAX);
    return bytes === null ? null : Buffer.from(bytes).toString('utf8');
  }

  /** False, and nothing written, when it is not the one that was left. */
  async replace(text: string): Promise<boolean> {
    const expected = this.text === null ? null : Buffer.from(this.text);
    if (!(await this.#target.replace(this.name, Buffer.from(text), { expected, bytesMax: MARKER_BYTES_MAX }))) return false;
    this.text = text;
    return true;
  }
}

export const markerText = ({ instance, generation, settled }: SinkMarker): string => `${JSON.stringify({ version: 1, instance, generation, settled })}\n`;

/** Null for what is no marker of ours: then the lake is fed again. */
export function parseMarker(text: string): SinkMarker | null {
  try {
    const { instance, generation, settled } = JSON.parse(text) as Partial<SinkMarker>;
    const whole = Number.isSafeInteger(generation) && Number.isSafeInteger(settled);
    return typeof instance === 'string' && whole ? { instance, generation: generation as number, settled: settled as number } : null;
  } catch {
    return null;
  }
}
