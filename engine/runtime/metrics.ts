/**
 * Prometheus exposition. The only door to prom-client.
 *
 * Figures are kept where they arise (threads, sinks, stores) as plain numbers; at each scrape they are set here, so that
 * the hot path never touches a metric object.
 */

import { createRequire } from 'node:module';
import { Gauge, Registry } from 'prom-client';
import { LATENCY_BOUNDS_MS, type HistogramSnapshot } from '../core/histogram.ts';

/**
 * prom-client's process metrics, all but its event loop lag: that one wakes the main thread each 10 ms, by day and night, which was a third of what an idle
 * daemon took.
 */
export const PROCESS_METRICS = ['processCpuTotal', 'processStartTime', 'osMemoryHeap', 'processOpenFileDescriptors', 'processMaxFileDescriptors', 'processResources', 'processHandles', 'processRequests', 'heapSizeAndUsed', 'heapSpacesSizeAndUsed', 'version', 'gc'] as const;

type Collector = (registry: Registry) => void;

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

export interface HistogramFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  readonly series: readonly { readonly labels?: Readonly<Record<string, string>>; readonly snapshot: HistogramSnapshot }[];
}

/** Renders process metrics (event loop lag, memory, file descriptors) and the families given, in Prometheus text format. */
export class MetricsPage {
  readonly #process = new Registry();

  constructor() {
    const load = createRequire(import.meta.url);
    for (const name of PROCESS_METRICS) (load(`prom-client/lib/metrics/${name}.js`) as Collector)(this.#process);
    let used = performance.eventLoopUtilization();
    new Gauge({
      name: 'millrace_main_loop_utilization',
      help: 'Share of the time since the last scrape in which the main thread was at work, from 0 to 1',
      registers: [this.#process],
      collect() {
        const now = performance.eventLoopUtilization();
        this.set(performance.eventLoopUtilization(now, used).utilization);
        used = now;
      },
    });
    new Gauge({
      name: 'nodejs_eventloop_lag_seconds',
      help: 'How long the main thread took to come to what it was asked at the scrape.',
      registers: [this.#process],
      async collect() {
        const startMs = performance.now();
        await new Promise((resolve) => void setImmediate(resolve));
        this.set((performance.now() - startMs) / 1_000);
      },
    });
    new Gauge({
      name: 'millrace_process_rss_bytes',
      help: 'Resident memory of the daemon',
      registers: [this.#process],
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  async render(families: readonly (MetricFamily | HistogramFamily)[]): Promise<string> {
    return `${families.map(renderFamily).join('')}${await this.#process.metrics()}`;
  }
}

function renderFamily(family: MetricFamily | HistogramFamily): string {
  const head = `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
  const lines = family.type === 'histogram' ? family.series.flatMap((series) => histogramLines(family.name, series)) : family.samples.map((sample) => `${family.name}${labelText(sample.labels)} ${sample.value}`);
  return `${head}${lines.join('\n')}\n`;
}

/** Prometheus wants seconds and cumulative buckets. */
function histogramLines(name: string, series: HistogramFamily['series'][number]): string[] {
  let seen = 0;
  const lines = LATENCY_BOUNDS_MS.map((boundMs, bucket) => {
    seen += series.snapshot.counts[bucket] ?? 0;
    return `${name}_bucket${labelText({ ...series.labels, le: String(boundMs / 1_000) })} ${seen}`;
  });
  return [
    ...lines,
    `${name}_bucket${labelText({ ...series.labels, le: '+Inf' })} ${series.snapshot.count}`,
    `${name}_sum${labelText(series.labels)} ${series.snapshot.sumMs / 1_000}`,
    `${name}_count${labelText(series.labels)} ${series.snapshot.count}`,
  ];
}

function labelText(labels: Readonly<Record<string, string>> = {}): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}
