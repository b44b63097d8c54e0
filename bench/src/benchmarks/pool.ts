import { startPostgres } from '../../../test/support/servers/postgres-server';
import type { Benchmark, Report, Settings } from '../benchmark';
import { median } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { bars } from '../report/plots';
import { Worker } from '../workers/team';
import type { OpenInput, StormResult, Way } from './database.worker';

const CALLERS = 500;
const POOL_SIZE = 10;
const ROUNDS = 2;

export const pool: Benchmark = {
  name: 'pool',
  subject: 'an unrelated query each 10 ms while 500 callers want one row, PostgreSQL, a pool of 10',
  seconds: 25,
  run,
};

interface Phase {
  readonly name: string;
  readonly way: Way;
  readonly callers: number;
  readonly results: StormResult[];
}

async function run({ seconds, progress }: Settings): Promise<Report> {
  const phases: Phase[] = [
    { name: 'idle', way: 'typeorm', callers: 0, results: [] },
    { name: 'typeorm', way: 'typeorm', callers: CALLERS, results: [] },
    { name: 'by hand', way: 'by hand', callers: CALLERS, results: [] },
  ];
  const part = seconds / (phases.length * ROUNDS + 2);
  const server = await startPostgres();
  const workers = new Map<Way, Worker>();
  try {
    for (const way of ['typeorm', 'by hand'] as const) {
      const worker = new Worker('benchmarks/database.worker');
      const input: OpenInput = { url: server.url, way, poolSize: POOL_SIZE, prepare: workers.size === 0 };
      workers.set(way, worker);
      await worker.ask('open', input);
      // Connections are made and code is compiled before anything counts.
      await worker.ask('storm', { callers: CALLERS, seconds: Math.min(1, part) });
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { name, way, callers, results } of phases) {
        progress(`round ${round + 1} of ${ROUNDS}: ${name}`);
        const worker = workers.get(way);
        if (worker === undefined) continue;
        const result = await worker.ask<StormResult>('storm', { callers, seconds: part }, part);
        if (result.overlaps > 0) {
          throw new Error(`${name} is disqualified: ${result.overlaps} were inside together`);
        }
        results.push(result);
      }
    }
  } finally {
    for (const worker of workers.values()) await worker.kill();
    await server.stop();
  }
  return report(phases);
}

function report(phases: readonly Phase[]): Report {
  const middle = (name: string, figure: keyof StormResult): number =>
    median((phases.find((phase) => phase.name === name)?.results ?? []).map((result) => result[figure]));
  const against = middle('typeorm', 'p99') / middle('idle', 'p99');
  return {
    tables: [
      {
        title: 'An unrelated query while 500 callers want one row: milliseconds',
        columns: ['', 'p50', 'p99', 'worst', 'p99 against idle', 'locks/s'],
        rows: phases.map(({ name }) => [
          name,
          digits(middle(name, 'p50')),
          digits(middle(name, 'p99')),
          digits(middle(name, 'worst')),
          times(middle(name, 'p99') / middle('idle', 'p99')),
          name === 'idle' ? '' : digits(middle(name, 'lockRate')),
        ]),
      },
    ],
    targets: [
      {
        benchmark: 'pool',
        what: "p99 of an unrelated query in a storm, against the idle pool's",
        goal: '< 3 x',
        measured: `${times(against)} (by hand ${times(middle('by hand', 'p99') / middle('idle', 'p99'))})`,
        met: against < 3,
      },
    ],
    plots: [
      {
        file: 'pool.svg',
        specification: bars({
          title: 'An unrelated query while 500 callers want one row',
          value: 'p99, milliseconds, logarithmic',
          scale: 'log',
          rows: phases.map(({ name }) => ({
            name,
            panel: 'PostgreSQL, a pool of 10',
            value: middle(name, 'p99'),
            ours: name === 'typeorm',
          })),
        }),
      },
    ],
    figures: phases,
  };
}
