/** The clock port. Core, actors and state take one where they need time; none of them asks the system. */
export interface Clock {
  /** Epoch ms; may step in either direction. */
  nowMs(): number;
  /** Monotonic ms from an arbitrary start; never goes back. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
