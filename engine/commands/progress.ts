/** A progress bar on stderr, where that is a terminal. The only door to cli-progress. */

import cliProgress from 'cli-progress';

export interface Progress {
  update(done: number, note: string): void;
  stop(): void;
}

/** `total` 0 for unknown. */
export function startProgress(label: string, total: number): Progress {
  const format = total > 0 ? `${label} [{bar}] {percentage}% {value}/{total} {note}` : `${label} {value} {note}`;
  const bar = new cliProgress.SingleBar({ format, stream: process.stderr, hideCursor: true, noTTYOutput: false, clearOnComplete: false, etaBuffer: 100 }, cliProgress.Presets.shades_classic);
  bar.start(total, 0, { note: '' });
  return {
    update: (done, note) => {
      bar.update(done, { note });
    },
    stop: () => {
      bar.stop();
    },
  };
}
