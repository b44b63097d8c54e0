import type { Benchmark, Report, Settings } from '../benchmark';
import { median, medianRatio } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { Worker } from '../workers/team';
import type { MemoryInput, MemoryResult } from './memory.worker';

const MODES = [
  { label: 'one caller', callers: 1 },
  { label: '100 callers', callers: 100 },
] as const;
const NAMES = ['memory', 'async-mutex'] as const;
const ROUNDS = 9;

export const memory: Benchmark = {
  name: 'memory',
  subject: 'the lock in memory against async-mutex',
  seconds: 15,
  run,
};

async function run({ seconds, progress }: Settings): Promise<Report> {
  const workers = NAMES.map((name) => ({
    name,
    worker: new Worker('benchmarks/memory.worker'),
    rates: MODES.map((): number[] => []),
  }));
  const part = seconds / (NAMES.length * MODES.length * (ROUNDS + 1));
  for (const { name, worker } of workers) {
    await worker.ask('open', name);
    for (const { callers } of MODES) await loop(worker, { callers, seconds: part });
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    progress(`round ${round + 1} of ${ROUNDS}`);
    for (const [at, { callers }] of MODES.entries()) {
      for (const { worker, rates } of workers) {
        rates[at]?.push(await loop(worker, { callers, seconds: part }));
      }
    }
  }
  for (const { worker } of workers) await worker.kill();
  const ratioOf = (mode: number): number =>
    medianRatio(workers[0]?.rates[mode] ?? [], workers[1]?.rates[mode] ?? []);
  return {
    tables: [
      {
        title: 'The lock in memory: locks a second of processor time',
        columns: ['', ...NAMES, 'ratio'],
        rows: MODES.map(({ label }, mode) => [
          label,
          ...workers.map(({ rates }) => digits(median(rates[mode] ?? []))),
          times(ratioOf(mode)),
        ]),
      },
    ],
    targets: MODES.map(({ label }, mode) => ({
      benchmark: 'memory',
      what: `${label}, against async-mutex`,
      goal: '>= 1 x',
      measured: times(ratioOf(mode)),
      met: ratioOf(mode) >= 1,
    })),
    plots: [],
    figures: workers.map(({ name, rates }) => ({ name, rates })),
  };
}

async function loop(worker: Worker, input: MemoryInput): Promise<number> {
  const { rate, overlaps } = await worker.ask<MemoryResult>('loop', input, input.seconds);
  if (overlaps > 0) throw new Error(`disqualified: ${overlaps} were inside together`);
  return rate;
}
