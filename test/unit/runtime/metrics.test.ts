import { collectDefaultMetrics } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { MetricsPage, PROCESS_METRICS } from '../../../engine/runtime/metrics.ts';

describe('the metrics page', () => {
  it('has all process metrics of prom-client but the one that wakes the thread each 10 ms', () => {
    expect([...PROCESS_METRICS, 'eventLoopLag'].sort()).toEqual([...collectDefaultMetrics.metricsList].sort());
  });

  it('tells lag and utilization of the event loop as of the scrape', async () => {
    const text = await new MetricsPage().render([]);
    for (const name of ['process_cpu_seconds_total', 'nodejs_heap_size_used_bytes', 'millrace_process_rss_bytes']) expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
    const lag = Number(/^nodejs_eventloop_lag_seconds (\S+)$/m.exec(text)?.[1]);
    expect(lag).toBeGreaterThan(0);
    const utilization = Number(/^millrace_main_loop_utilization (\S+)$/m.exec(text)?.[1]);
    expect(utilization).toBeGreaterThanOrEqual(0);
    expect(utilization).toBeLessThanOrEqual(1);
  });
});
