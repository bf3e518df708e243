/** What the reports of the load scenarios say in the table of goals. */

import { figureOf, type Figures } from '../harness/figures.ts';
import type { ScenarioReport } from './scenario.ts';
import type { BatchesReport } from './scenarios/batches.ts';
import type { IdleReport } from './scenarios/idle.ts';
import type { PeakReport } from './scenarios/peak.ts';
import type { RecoveryReport } from './scenarios/recovery.ts';
import type { SteadyReport } from './scenarios/steady.ts';

/** `prefix` of the keys: empty, or that of a slower disk. */
export function loadFigures(reports: readonly ScenarioReport[], prefix: string): Figures {
  return Object.fromEntries(reports.flatMap((report) => Object.entries(figuresOf(report)).map(([key, figure]) => [`${prefix}${key}`, figure])));
}

function figuresOf(report: ScenarioReport): Figures {
  switch (report.scenario) {
    case 'peak':
    case 'encoding': {
      const { rounds } = report as PeakReport;
      return {
        [`${report.scenario}.ratio`]: figureOf(rounds.map(({ daemon, discard }) => daemon.perSecond / discard.perSecond)),
        [`${report.scenario}.rate`]: figureOf(rounds.map(({ daemon }) => daemon.perSecond)),
        [`${report.scenario}.cpu`]: figureOf(rounds.map(({ cpuMicrosPerEvent }) => cpuMicrosPerEvent)),
      };
    }
    case 'batches':
      return { 'batches.rate': figureOf((report as BatchesReport).ratesPerSecond) };
    case 'steady':
    case 'cells': {
      const { ack, endToEnd } = report as SteadyReport;
      return {
        [`${report.scenario}.ack.p99`]: figureOf([ack.p99Ms]),
        [`${report.scenario}.visible.p99`]: figureOf([endToEnd.p99Ms]),
        [`${report.scenario}.visible.max`]: figureOf([endToEnd.maxMs]),
      };
    }
    case 'recovery':
      return { 'recovery.seconds': figureOf((report as RecoveryReport).secondsForTenMillion) };
    case 'idle': {
      const { cpuShares, rssMiB } = report as IdleReport;
      return { 'idle.cpu': figureOf(cpuShares.map((share) => share * 100)), 'idle.rss': figureOf([rssMiB]) };
    }
    default:
      return {};
  }
}
