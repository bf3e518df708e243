/**
 * Runs an action over items, a few at a time. After a failure nothing further begins; when all that runs has ended, the first failure is
 * raised. Resolves false when `stop` said so before the last item began.
 */
export async function inLanes<Item>(items: readonly Item[], lanes: number, action: (item: Item) => Promise<void>, stop: () => boolean = () => false): Promise<boolean> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (!failed && next < items.length && !stop()) {
      try {
        await action(items[next++] as Item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(lanes, items.length) }, lane));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason as Error;
  return next >= items.length;
}
