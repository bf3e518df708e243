/** All guards, by section of the design, and what has none. */

import { DOOR } from './door.ts';
import { FOLD } from './fold.ts';
import type { Guard } from './guard.ts';
import { JOURNAL } from './journal.ts';
import { PROMISES } from './promises.ts';
import { PURGES } from './purges.ts';
import { RECORDS } from './records.ts';
import { RECOVERY } from './recovery.ts';
import { RESULTS } from './results.ts';
import { SINKS } from './sinks.ts';
import { SHADOWS } from './shadows.ts';
import { SHAPES } from './shapes.ts';
import { SOURCES } from './sources.ts';
import { STATE } from './state.ts';
import { TIME } from './time.ts';

export { GAPS } from './gaps.ts';

export const GUARDS: readonly Guard[] = [...PROMISES, ...JOURNAL, ...DOOR, ...FOLD, ...RESULTS, ...SINKS, ...RECOVERY, ...STATE, ...RECORDS, ...SHAPES, ...SOURCES, ...SHADOWS, ...PURGES, ...TIME];
