import { startMariadb } from '../../../test/support/servers/mariadb-server';
import { startPostgres } from '../../../test/support/servers/postgres-server';
import { provideServer } from '../../../test/support/servers/provide-servers';
import { isWanted, type Benchmark, type Report, type Settings } from '../benchmark';
import { median, medianRatio } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { bars } from '../report/plots';
import { Worker } from '../workers/team';
import { sentence } from '../workers/worker';
import type { LoopInput, LoopResult, OpenInput, Way } from './database.worker';

const DATABASES = [
  { database: 'PostgreSQL', goal: 1.5, start: () => startPostgres() },
  {
    database: 'MariaDB',
    goal: 1,
    async start() {
      await provideServer('mariadb', { say: (line) => console.log(line) });
      return startMariadb();
    },
  },
];
const MODES = [
  { label: '1 key', keys: 1, work: 'none' },
  { label: '64 keys', keys: 64, work: 'none' },
  { label: '1 key, a sale inside', keys: 1, work: 'sell' },
  { label: '64 keys, a sale inside', keys: 64, work: 'sell' },
] as const;
const WAYS: readonly Way[] = ['typeorm', 'typeorm, mapped row', 'by hand'];
const CALLERS = 64;
const POOL_SIZE = 10;
const ROUNDS = 3;

export const database: Benchmark = {
  name: 'database',
  subject: 'typeormLock against a hand-written transaction with pessimistic_write, 64 callers, a pool of 10',
  seconds: 85,
  run,
};

interface Standing {
  readonly database: string;
  readonly goal: number;
  readonly way: Way;
  readonly worker: Worker;
  readonly rates: number[][];
  error: string | undefined;
}

async function run(settings: Settings): Promise<Report> {
  const standings: Standing[] = [];
  const errors: Record<string, string> = {};
  const ways = WAYS.filter((way) => way === 'by hand' || isWanted(settings, way));
  const part = settings.seconds / (DATABASES.length * ways.length * MODES.length * (ROUNDS + 1));
  for (const { database: name, goal, start } of DATABASES) {
    settings.progress(`start ${name}`);
    const server = await start().catch((error: unknown) => {
      errors[name] = sentence(error);
      return undefined;
    });
    if (server === undefined) continue;
    try {
      const own = ways.map((way): Standing => {
        const worker = new Worker('benchmarks/database.worker');
        return { database: name, goal, way, worker, rates: MODES.map(() => []), error: undefined };
      });
      standings.push(...own);
      await play(own, { url: server.url, part, settings });
    } finally {
      await server.stop();
    }
  }
  return report(standings, errors);
}

async function play(
  standings: readonly Standing[],
  { url, part, settings }: { readonly url: string; readonly part: number; readonly settings: Settings },
): Promise<void> {
  try {
    for (const [at, { worker, way }] of standings.entries()) {
      const input: OpenInput = { url, way, poolSize: POOL_SIZE, prepare: at === 0 };
      await worker.ask('open', input);
    }
    for (let round = -1; round < ROUNDS; round += 1) {
      settings.progress(
        `${standings[0]?.database}: ${round < 0 ? 'warm up' : `round ${round + 1} of ${ROUNDS}`}`,
      );
      for (const [at, { keys, work }] of MODES.entries()) {
        for (const standing of standings) {
          const rate = await loop(standing, { callers: CALLERS, keys, work, seconds: part });
          if (round >= 0 && rate !== undefined) standing.rates[at]?.push(rate);
        }
      }
    }
  } finally {
    for (const { worker } of standings) await worker.kill();
  }
}

async function loop(standing: Standing, input: LoopInput): Promise<number | undefined> {
  if (standing.error !== undefined) return undefined;
  try {
    const { rate, overlaps, lost } = await standing.worker.ask<LoopResult>('loop', input, input.seconds);
    if (overlaps > 0 || lost !== 0) {
      throw new Error(`disqualified: ${overlaps} were inside together, ${lost} sales were lost`);
    }
    return rate;
  } catch (error) {
    standing.error = sentence(error);
    return undefined;
  }
}

function report(standings: readonly Standing[], errors: Readonly<Record<string, string>>): Report {
  const ratio = (standing: Standing, mode: number): number => {
    const hand = standings.find(({ database: name, way }) => name === standing.database && way === 'by hand');
    return medianRatio(standing.rates[mode] ?? [], hand?.rates[mode] ?? []);
  };
  const ran = standings.filter(({ error }) => error === undefined);
  return {
    tables: [
      {
        title: 'Locks a second, and against the transaction by hand',
        columns: ['', '', ...MODES.map(({ label }) => label)],
        rows: [
          ...standings.map((standing) => [
            standing.database,
            standing.way,
            ...(standing.error === undefined
              ? MODES.map(
                  (_, mode) =>
                    `${digits(median(standing.rates[mode] ?? []))} (${times(ratio(standing, mode))})`,
                )
              : [standing.error]),
          ]),
          ...Object.entries(errors).map(([name, error]) => [name, error]),
        ],
      },
    ],
    targets: ran
      .filter(({ way }) => way === 'typeorm')
      .flatMap((standing) =>
        MODES.flatMap(({ label, work }, mode) =>
          work === 'sell'
            ? []
            : [
                {
                  benchmark: 'database',
                  what: `${standing.database}, ${label}, against a transaction by hand`,
                  goal: `>= ${standing.goal} x`,
                  measured: times(ratio(standing, mode)),
                  met: ratio(standing, mode) >= standing.goal,
                },
              ],
        ),
      ),
    plots: [
      {
        file: 'database.svg',
        specification: bars({
          title: 'Locks a second against a transaction by hand (1.0)',
          value: 'times the transaction by hand',
          rows: ran.flatMap((standing) =>
            MODES.map(({ label }, mode) => ({
              name: `${label}: ${standing.way}`,
              panel: standing.database,
              value: ratio(standing, mode),
              ours: standing.way !== 'by hand',
            })),
          ),
        }),
      },
    ],
    figures: standings.map(({ database: name, way, rates, error }) => ({
      database: name,
      way,
      rates,
      error,
    })),
  };
}
