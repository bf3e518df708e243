import { CellKind } from '../../engine/core/cell.ts';
import { sinkConformance } from '../conformance/sink.ts';
import { MemorySink, MemorySystem } from '../conformance/memory-sink.ts';

// The suite run on a sink that needs nothing outside: it shows that the suite itself can be passed.
sinkConformance('the sink in memory', async () => {
  const system = new MemorySystem();
  return {
    createSink: () => new MemorySink(system),
    readHour: async (resultKey, windowStartMs) => {
      let seen = null as { generation: number; revision: number; total: number } | null;
      for (const { cell, generation } of system.cells.values()) {
        if (cell.kind !== CellKind.hour || cell.windowStartMs !== windowStartMs || !cell.dimensions.startsWith(`${resultKey}\u001f`)) continue;
        seen = { generation, revision: (seen?.revision ?? 0) + cell.revision, total: (seen?.total ?? 0) + (cell.measures[0] ?? 0) };
      }
      return seen;
    },
    forget: async () => system.forget(),
    copy: async () => {
      const putBack = system.takeCopy();
      return async () => putBack();
    },
    goAway: async () => void (system.away = true),
    comeBack: async () => void (system.away = false),
    refuse: async (resultKey) => void (system.refusedKey = resultKey),
    stop: async () => undefined,
  };
});
