/** One HTML page of a load report: the figures as tables and the latencies over time as a plot, all in the file itself. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { LoadReport } from './run.ts';
import type { PeakReport } from './scenarios/peak.ts';
import type { SmokeReport } from './scenarios/smoke.ts';

const resolveModule = createRequire(import.meta.url).resolve;
const text = (value: unknown): string => String(value).replace(/&/g, '&amp;').replace(/</g, '&lt;');
const row = (cells: readonly unknown[]): string => `<tr>${cells.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`;

/** `slowLines`: what people read of the scenarios with slower syncs. */
export function renderPage(report: LoadReport, slowLines: readonly string[]): string {
  const library = readFileSync(resolveModule('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = readFileSync(resolveModule('uplot/dist/uPlot.min.css'), 'utf8');
  const smoke = report.scenarios.find(({ scenario }) => scenario === 'smoke') as SmokeReport | undefined;
  const peak = report.scenarios.find(({ scenario }) => scenario === 'peak') as PeakReport | undefined;
  const plots = [
    ...(smoke === undefined ? [] : [{ title: 'End to end at nominal load: sent → in Redis, ms', x: 'seconds', data: [smoke.endToEndSeries.map(([at]) => at / 1_000), smoke.endToEndSeries.map(([, latency]) => latency)] }]),
    ...(peak === undefined ? [] : [{ title: 'Peak by round: durable events/s, and raw discard/s, node:http with Redis', x: 'round', data: [peak.rounds.map((_, index) => index + 1), peak.rounds.map((round) => round.daemon.perSecond), peak.rounds.map((round) => round.discard.perSecond), peak.rounds.map((round) => round.afternoon.perSecond)] }]),
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Millrace under load</title><style>${style}
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1d2430}td{padding:.2rem .8rem .2rem 0;border-top:1px solid #e3e7ee}h2{margin-top:2rem}pre{white-space:pre-wrap;font-size:12px}</style></head><body>
<h1>Millrace under load</h1><p>${text(Object.values(report.machine).join(', '))}<br>${text(report.durability)}<br>${text(report.at)}</p>
<pre>${text([...report.scenarios.flatMap(({ lines }) => lines), ...slowLines].join('\n'))}</pre>${smoke === undefined ? '' : smokeTable(smoke)}${peak === undefined ? '' : peakTable(peak)}<div id="plots"></div>
<script>${library}</script><script>
for (const plot of ${JSON.stringify(plots)}) {
  const series = [{ label: plot.x }, { label: plot.data.length > 2 ? 'millrace' : 'ms', stroke: '#2563eb', points: { show: true, size: 4 } }, { label: 'discard', stroke: '#98a2b3', points: { show: true, size: 4 } }, { label: 'node:http, Redis', stroke: '#d97706', points: { show: true, size: 4 } }].slice(0, plot.data.length);
  new uPlot({ title: plot.title, width: 920, height: 320, scales: { x: { time: false }, y: { range: (u, low, high) => [0, high * 1.1] } }, series }, plot.data, document.getElementById('plots'));
}
</script></body></html>
`;
}

function smokeTable({ ratePerSecond, ack, endToEnd, cpuShare, rssMiB, lost, acknowledged }: SmokeReport): string {
  return `<h2>smoke: nominal load</h2><table>${row(['rate', `${ratePerSecond.toFixed(0)}/s`])}${row(['ack p50 / p99 / p99.9 / max', `${ack.p50Ms} / ${ack.p99Ms} / ${ack.p999Ms} / ${ack.maxMs} ms`])}${row(['end to end p50 / p99 / max', `${endToEnd.p50Ms.toFixed(0)} / ${endToEnd.p99Ms.toFixed(0)} / ${endToEnd.maxMs.toFixed(0)} ms`])}${row(['CPU', `${(cpuShare * 100).toFixed(0)} % of a core`])}${row(['RSS', `${rssMiB} MiB`])}${row(['acknowledged / lost', `${acknowledged} / ${lost}`])}</table>`;
}

function peakTable({ daemonPerSecond, discardPerSecond, afternoonPerSecond, ratio, cpuMicrosPerEvent, rounds, settleSeconds, rssMiB, acknowledged, lost }: PeakReport): string {
  return `<h2>peak: as fast as it goes</h2><table>${row(['durable POSTs', `${daemonPerSecond.toFixed(0)}/s, median of ${rounds.length}`])}${row(['raw uWebSockets discarding', `${discardPerSecond.toFixed(0)}/s`])}${row(['ratio', ratio.toFixed(2)])}${row(['node:http, JSON.parse, Redis', `${afternoonPerSecond.toFixed(0)}/s`])}${row(['CPU per event', `${cpuMicrosPerEvent.toFixed(1)} us`])}${row(['settled after the last answer', `${settleSeconds.toFixed(1)} s`])}${row(['RSS', `${rssMiB} MiB`])}${row(['acknowledged / lost', `${acknowledged} / ${lost}`])}</table>`;
}
