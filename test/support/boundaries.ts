/** Tests that begin at any time of day, and must not meet the end of an hour or a day in their middle. */

/** Returns once the next multiple of `stepMs` since 1970 (UTC) is at least `marginMs` away; waits for at most that long. */
export async function awayFromBoundary(stepMs: number, marginMs: number): Promise<void> {
  const leftMs = stepMs - (Date.now() % stepMs);
  if (leftMs < marginMs) await new Promise((resolve) => setTimeout(resolve, leftMs + 1));
}
