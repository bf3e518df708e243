import performanceHooks from 'node:perf_hooks';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describe, expect, it, vi } from 'vitest';
import { LAG_SAMPLED_MS, MetricsPage } from '../../../engine/runtime/metrics.ts';

describe('the metrics page', () => {
  it('has all process metrics of prom-client but those that wake the thread each 10 ms', async () => {
    const all = new Registry();
    collectDefaultMetrics({ register: all });
    const expected = all.getMetricsAsArray().map(({ name }) => name).filter((name) => !/^nodejs_eventloop_lag_(?!seconds$)/.test(name));
    expect(expected.length).toBeGreaterThan(20);
    const monitor = vi.spyOn(performanceHooks, 'monitorEventLoopDelay');
    const text = await new MetricsPage().render([]);
    const shown = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string).filter((name) => !name.startsWith('millrace_'));
    expect(shown.sort()).toEqual(expected.sort());
    expect(monitor.mock.calls.map(([options]) => options?.resolution)).toEqual([LAG_SAMPLED_MS]);
    monitor.mockRestore();
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
