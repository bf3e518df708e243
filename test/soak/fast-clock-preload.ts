/**
 * Loaded before the daemon in each of its threads (`--import`): the time of day runs faster and, with it,
 * the running time of the journal (fast-clock-hooks.ts); all else stays as it is.
 *
 * The daemon asks for the time of day through `Date` alone. Not libfaketime: at a factor it also divides the waits of epoll, so that
 * every event loop with a timer spins (measured at 100 times: the main thread took a whole core in 40,000 epoll_pwait a second).
 */

import { register } from 'node:module';

register('./fast-clock-hooks.js', import.meta.url);

const [startMs = NaN, originMs = NaN, speedup = NaN] = (process.env['SOAK_CLOCK'] ?? '').split(',').map(Number);
if (!Number.isFinite(startMs + originMs + speedup)) throw new Error('SOAK_CLOCK is to hold start, origin and factor');

/** The system's monotonic clock is one for all threads and processes; performance.now() only differs by a constant. */
const sinceOriginMs = Number(process.hrtime.bigint()) / 1e6 - performance.now() - originMs;
const nowMs = (): number => Math.floor(startMs + (performance.now() + sinceOriginMs) * speedup);

const TrueDate = Date;
TrueDate.now = nowMs;
globalThis.Date = new Proxy(TrueDate, {
  construct: (target, args: unknown[], newTarget) => Reflect.construct(target, args.length === 0 ? [nowMs()] : args, newTarget) as Date,
  apply: () => new TrueDate(nowMs()).toString(),
});
