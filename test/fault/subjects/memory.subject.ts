import type { FaultSubject } from './fault-subject';

/** A lock within one process, which can only be stopped: with it ends, or stands still, everybody who could notice. */
export const memorySubject: FaultSubject = {
  name: 'memoryLock',
  recipe: require.resolve('./memory.recipe'),
  scope: 'process',
  processes: 1,
  tasks: 12,
  lease: 1_000,
  faults: ['stop'],
  promises: {
    order: 'strict',
    fencing: true,
    deadHolder: 'keeps its lease',
    patience: 10_000,
    aftermath: 2_000,
    answer: 1_000,
    excuses: { exclusion: [], orderWhileWaiting: [], orderWhileArriving: [], longest: 4_000 },
  },
  open: async () => ({
    urls: [],
    inject: (kind) => Promise.reject(new Error(`A memory can't have the fault ${kind}.`)),
    residue: async () => [],
    close: async () => undefined,
  }),
};
