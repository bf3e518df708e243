/**
 * Prometheus exposition. The only door to prom-client.
 *
 * Figures are kept where they arise (threads, sinks, stores) as plain numbers; at each scrape they are set here, so that
 * the hot path never touches a metric object.
 */

import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { LATENCY_BOUNDS_MS, type HistogramSnapshot } from '../core/histogram.ts';

/** How seldom prom-client samples the event loop's lag: by default it wakes the main thread each 10 ms, by day and night, which was a third of what an idle daemon took. */
export const LAG_SAMPLED_MS = 2 ** 31 - 1;
const LAG_METRICS = 'nodejs_eventloop_lag';

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
    collectDefaultMetrics({ register: this.#process, eventLoopMonitoringPrecision: LAG_SAMPLED_MS });
    // What has no samples says nothing.
    for (const { name } of this.#process.getMetricsAsArray()) if (name.startsWith(LAG_METRICS)) this.#process.removeSingleMetric(name);
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
      name: `${LAG_METRICS}_seconds`,
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
