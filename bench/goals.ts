/** What the engine is to reach on two cores that the load generator shares, and the table of what a run has measured beside it. */

import type { Figure, Figures } from './harness/figures.ts';

interface Goal {
  /** Of the figure. */
  readonly key: string;
  readonly what: string;
  readonly unit: string;
  readonly digits: number;
  /** One of both; without either the figure stands in the table for its own sake. */
  readonly atLeast?: number;
  readonly atMost?: number;
}

export const GOALS: readonly Goal[] = [
  { key: 'peak.ratio', what: 'single POSTs ÷ raw uWebSockets.js that throws the same away', unit: '', digits: 2, atLeast: 0.7 },
  { key: 'peak.rate', what: 'single POSTs, durable', unit: '/s', digits: 0 },
  { key: 'peak.cpu', what: 'CPU of a single POST, all of the daemon', unit: 'µs', digits: 1 },
  { key: 'encoding.ratio', what: 'the same ratio while the lake encodes all the time', unit: '', digits: 2, atLeast: 0.6 },
  { key: 'slow.peak.rate', what: 'single POSTs with 2 ms added to each sync', unit: '/s', digits: 0, atLeast: 40_000 },
  { key: 'batches.rate', what: 'events in requests of 500 lines, durable and counted', unit: '/s', digits: 0, atLeast: 250_000 },
  { key: 'slow.batches.rate', what: 'the same with 2 ms added to each sync', unit: '/s', digits: 0 },
  { key: 'replay.rate', what: 'replay of a journal, one actor core', unit: '/s', digits: 0, atLeast: 300_000 },
  { key: 'recovery.seconds', what: '10 M events of journal behind the last checkpoint, until ready (by slope)', unit: 's', digits: 1, atMost: 40 },
  { key: 'steady.ack.p99', what: 'answer at half of the peak, p99', unit: 'ms', digits: 1, atMost: 10 },
  { key: 'slow.steady.ack.p99', what: 'the same with 2 ms added to each sync', unit: 'ms', digits: 1 },
  { key: 'steady.visible.p99', what: 'sent until in Redis at half of the peak, 5,000 cells, an hour beginning and one closing, p99', unit: 'ms', digits: 0, atMost: 100 },
  { key: 'steady.visible.max', what: 'the same, longest', unit: 'ms', digits: 0, atMost: 1_000 },
  { key: 'cells.visible.p99', what: 'the same with 100,000 cells, p99', unit: 'ms', digits: 0, atMost: 1_000 },
  { key: 'flink.heap.ratio', what: 'fold ÷ Apache Flink, one core, heap state', unit: '', digits: 1, atLeast: 3 },
  { key: 'flink.rocksdb.ratio', what: 'fold ÷ Apache Flink, one core, RocksDB', unit: '', digits: 1, atLeast: 4.5 },
  { key: 'lake.rate', what: 'rows of events/ encoded, one pool core', unit: '/s', digits: 0, atLeast: 500_000 },
  { key: 'memory.mib', what: 'memory of an actor thread with 10 M users, 24 M fingerprints, 100,000 cells (micro/memory.ts)', unit: 'MiB', digits: 0, atMost: 1_229 },
  { key: 'skew.cost', what: '90 % of events on one campaign, what one costs beside even ones', unit: '%', digits: 1, atMost: 5 },
  { key: 'idle.cpu', what: 'idle, CPU of a core', unit: '%', digits: 2, atMost: 1 },
  { key: 'idle.rss', what: 'idle, memory', unit: 'MiB', digits: 0, atMost: 200 },
];

/** In Markdown, to be read in a terminal as well. */
export function goalsTable(figures: Figures): string {
  const rows = GOALS.map((goal) => {
    const figure = figures[goal.key];
    const cells = figure === undefined ? ['not measured', ''] : [number(figure.median, goal), spread(figure, goal)];
    return `| ${[goal.what, goalText(goal), ...cells, verdict(goal, figure)].join(' | ')} |`;
  });
  return ['| what | goal | median | rounds, worst to best | |', '|---|---|---|---|---|', ...rows].join('\n');
}

const number = (value: number, { unit, digits }: Goal): string => `${value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${unit === '' || unit === '/s' ? unit : ` ${unit}`}`;

function goalText(goal: Goal): string {
  if (goal.atLeast !== undefined) return `≥ ${number(goal.atLeast, goal)}`;
  return goal.atMost === undefined ? '' : `≤ ${number(goal.atMost, goal)}`;
}

function spread({ low, high, rounds }: Figure, goal: Goal): string {
  if (rounds === 1) return 'one';
  const [worst, best] = goal.atMost === undefined ? [low, high] : [high, low];
  return `${rounds}, ${number(worst, goal)} to ${number(best, goal)}`;
}

function verdict({ atLeast, atMost }: Goal, figure: Figure | undefined): string {
  if (figure === undefined || (atLeast === undefined && atMost === undefined)) return '';
  return figure.median >= (atLeast ?? -Infinity) && figure.median <= (atMost ?? Infinity) ? 'reached' : 'missed';
}
