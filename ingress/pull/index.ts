/** The Pull poller's public names. */
export type { PullFigures, PullJobFigures, PullBackfillFigures } from './figures.ts';
export { isPullOn, pullOptionsSchema, pullOverlapHours, type PullOptions } from './options.ts';
export { planBackfill, pollsPerDay, type BackfillRequest, type PlannedBackfill } from './plan.ts';
export { Poller } from './poller.ts';
export type { IdentityFacts, KnownAnswer, KnownQuestion, PullPorts } from './ports.ts';
export { PullState, type PullStateStore } from './state.ts';
export { windowTime } from './windows.ts';
