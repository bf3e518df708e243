/** The page of a soak: a plot of each measure over time, its verdict, the table; all in the file itself. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { HEADINGS, format, summaryOf, tableOf, type Judged, type SoakReport } from './report.ts';
import type { Sample } from './soak.ts';

const resolveModule = createRequire(import.meta.url).resolve;
const text = (value: string): string => value.replace(/&/g, '&amp;').replace(/</g, '&lt;');

interface Plot {
  readonly title: string;
  readonly verdict: string;
  readonly divisor: number;
  readonly data: readonly (readonly (number | null)[])[];
}

function plotOf({ measure, trend }: Judged, samples: readonly Sample[], judgedFromMs: number | null): Plot {
  const divisor = measure.unit === 'bytes' ? 1024 ** 2 : 1;
  const minutes = samples.map(({ atMs }) => atMs / 60_000);
  const values = samples.map(({ values: all }) => (all[measure.name] ?? NaN) / divisor).map((value) => (Number.isFinite(value) ? value : null));
  const judged = judgedFromMs === null ? [] : samples.filter(({ atMs }) => atMs >= judgedFromMs);
  const middleMs = judged.reduce((sum, { atMs }) => sum + atMs, 0) / Math.max(1, judged.length);
  const line = trend === null || !measure.judged ? [] : [samples.map(({ atMs }) => (atMs < (judgedFromMs ?? Infinity) ? null : (trend.mean + (trend.line * (atMs - middleMs)) / 3_600_000) / divisor))];
  const unit = measure.unit === 'bytes' ? 'MiB' : measure.unit === 'count' ? '' : measure.unit;
  const verdict = !measure.judged ? '' : trend === null ? 'not judged' : `${trend.verdict}: ${format(trend.slope, measure.unit)} an hour, ± ${format(trend.uncertainty, measure.unit)}`;
  return { title: unit === '' ? measure.name : `${measure.name}, ${unit}`, verdict, divisor, data: [minutes, values, ...line] };
}

export function renderPage(report: SoakReport, machine: Readonly<Record<string, string>>): string {
  const library = readFileSync(resolveModule('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = readFileSync(resolveModule('uplot/dist/uPlot.min.css'), 'utf8');
  const { samples, plan } = report.result;
  const plots = report.judged.map((judged) => plotOf(judged, samples, plan.judgedFromMs));
  const rows = tableOf(report).map((row) => `<tr class="${row.at(-1)}">${row.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Millrace, soaked</title><style>${style}
body{font:14px/1.5 system-ui,sans-serif;max-width:1240px;margin:2rem auto;padding:0 1rem;color:#1d2430}
td,th{padding:.2rem .8rem .2rem 0;border-top:1px solid #e3e7ee;text-align:right}td:first-child,th:first-child{text-align:left}
.growing td{color:#b42318;font-weight:600}#plots{display:grid;grid-template-columns:repeat(3,1fr);gap:1.2rem}figure{margin:0}figcaption{font-weight:600}
figcaption small{font-weight:400;color:#5b6472;display:block;min-height:1.5em}figcaption.growing small{color:#b42318}.u-legend{display:none}</style></head><body>
<h1>Millrace, soaked: ${report.ok ? 'flat and exact' : 'NOT OK'}</h1><p>${text(Object.values(machine).join(', '))}</p><ul>${summaryOf(report).map((line) => `<li>${text(line)}</li>`).join('')}</ul>
<p>Minutes since the start across; blue: the samples; grey: the line through what is judged.</p><div id="plots"></div>
<table><tr>${HEADINGS.map((heading) => `<th>${heading}</th>`).join('')}</tr>${rows.join('')}</table>
<script>${library}</script><script>
for (const plot of ${JSON.stringify(plots).replace(/</g, '\\u003c')}) {
  const figure = document.getElementById('plots').appendChild(document.createElement('figure'));
  const caption = figure.appendChild(document.createElement('figcaption'));
  caption.textContent = plot.title;
  if (plot.verdict.startsWith('growing')) caption.className = 'growing';
  caption.appendChild(document.createElement('small')).textContent = plot.verdict;
  const series = [{ label: 'minute' }, { label: plot.title, stroke: '#2563eb', width: 1.5 }, { label: 'line', stroke: '#98a2b3', width: 2, dash: [6, 4] }].slice(0, plot.data.length);
  new uPlot({ width: 390, height: 200, scales: { x: { time: false }, y: { range: (u, low, high) => [0, (high || 1) * 1.1] } }, axes: [{}, { size: 64, values: (u, ticks) => ticks.map((tick) => (Math.abs(tick) >= 1e6 ? tick / 1e6 + ' M' : Math.abs(tick) >= 1e4 ? tick / 1e3 + ' K' : tick)) }], series }, plot.data, figure);
}
</script></body></html>
`;
}
