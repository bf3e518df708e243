/** The clock port. Core, actors and state take one where they need time; none of them asks the system. */
export interface Clock {
  /** Epoch ms; may step in either direction. */
  nowMs(): number;
  /** Monotonic ms from an arbitrary start; never goes back. */
  monotonicMs(): number;
}

/** Calls back once after the delay (milliseconds); returns how to cancel. A simulator passes its own. */
export type Schedule = (delayMs: number, callback: () => void) => () => void;

export const systemSchedule: Schedule = (delayMs, callback) => {
  const timer = setTimeout(callback, delayMs);
  return () => {
    clearTimeout(timer);
  };
};

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
