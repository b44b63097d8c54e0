import { startPostgres } from '../../../test/support/servers/postgres-server';
import type { Benchmark, Report, Settings } from '../benchmark';
import { median } from '../measuring/statistics';
import { digits, percent, times } from '../report/format';
import { bars } from '../report/plots';
import { Worker } from '../workers/team';
import type { OpenInput, StormInput, StormResult, Way } from './database.worker';

const CALLERS = 500;
const POOL_SIZE = 10;
const ROUNDS = 3;
/** Milliseconds inside the lock, of a method that waits for something else. */
const INSIDE = 5;

export const pool: Benchmark = {
  name: 'pool',
  subject: 'an unrelated query each 10 ms while 500 callers want one row, PostgreSQL, a pool of 10',
  seconds: 85,
  run,
};

interface Phase {
  readonly name: string;
  readonly way: Way;
  readonly callers: number;
  readonly inside: number;
  readonly results: StormResult[];
}

async function run({ seconds, progress }: Settings): Promise<Report> {
  const storms = ([0, INSIDE] as const).flatMap((inside) =>
    (['typeorm', 'by hand'] as const).map((way) => ({
      name: `${way}, ${inside} ms inside`,
      way,
      callers: CALLERS,
      inside,
      results: [],
    })),
  );
  const phases: Phase[] = [{ name: 'idle', way: 'typeorm', callers: 0, inside: 0, results: [] }, ...storms];
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
      const warmUp: StormInput = { callers: CALLERS, inside: 0, seconds: Math.min(1, part) };
      await worker.ask('storm', warmUp);
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { name, way, callers, inside, results } of phases) {
        progress(`round ${round + 1} of ${ROUNDS}: ${name}`);
        const worker = workers.get(way);
        if (worker === undefined) continue;
        const input: StormInput = { callers, inside, seconds: part };
        const result = await worker.ask<StormResult>('storm', input, part);
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
  const against = (name: string): string => times(middle(name, 'p99') / middle('idle', 'p99'));
  return {
    tables: [
      {
        title: 'An unrelated query while 500 callers want one row: milliseconds',
        columns: ['', 'p50', 'p99', 'worst', 'p99 against idle', 'locks/s', 'stopped to collect garbage'],
        rows: phases.map(({ name, callers }) => [
          name,
          digits(middle(name, 'p50')),
          digits(middle(name, 'p99')),
          digits(middle(name, 'worst')),
          against(name),
          callers === 0 ? '' : digits(middle(name, 'lockRate')),
          percent(middle(name, 'collected')),
        ]),
      },
    ],
    targets: [0, INSIDE].map((inside) => {
      const ours = `typeorm, ${inside} ms inside`;
      return {
        benchmark: 'pool',
        what: `p99 of an unrelated query in a storm of methods of ${inside} ms, against the idle pool's`,
        goal: '< 3 x',
        measured: `${against(ours)} (by hand ${against(`by hand, ${inside} ms inside`)})`,
        met: middle(ours, 'p99') / middle('idle', 'p99') < 3,
      };
    }),
    plots: [
      {
        file: 'pool.svg',
        specification: bars({
          title: 'An unrelated query while 500 callers want one row',
          value: 'p99, milliseconds, logarithmic',
          scale: 'log',
          rows: phases.map(({ name, way, callers }) => ({
            name,
            panel: 'PostgreSQL, a pool of 10',
            value: middle(name, 'p99'),
            ours: callers > 0 && way === 'typeorm',
          })),
        }),
      },
    ],
    figures: phases,
  };
}
