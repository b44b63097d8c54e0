import { isWanted, type Benchmark, type Report, type Settings, type Target } from '../benchmark';
import { REDIS_ENTRIES, type Entry } from '../contestants/index';
import { median, medianRatio } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { bars } from '../report/plots';
import { Team } from '../workers/team';
import { sentence } from '../workers/worker';
import type { LoopInput, LoopResult } from './uncontended.worker';

const MODES = [
  { label: 'one at a time', keys: 1, goal: 0.9 },
  { label: '64 keys in parallel', keys: 64, goal: 1.2 },
] as const;
const ROUNDS = 7;
const TTL = 10_000;

export const uncontended: Benchmark = {
  name: 'uncontended',
  subject: 'acquire and release of a free lock in Redis, one process',
  seconds: 75,
  run,
};

interface Standing {
  readonly entry: Entry;
  readonly worker: Team;
  readonly rates: number[][];
  /** Microseconds of the client's processor time a lock. */
  readonly costs: number[][];
  error: string | undefined;
}

async function run(settings: Settings): Promise<Report> {
  const redis = await settings.startRedis();
  const standings: Standing[] = REDIS_ENTRIES.filter(
    ({ name, kind }) => kind === 'floor' || isWanted(settings, name),
  ).map((entry) => ({
    entry,
    worker: new Team('benchmarks/uncontended.worker', 1),
    rates: MODES.map(() => []),
    costs: MODES.map(() => []),
    error: undefined,
  }));
  const part = settings.seconds / (standings.length * MODES.length * (ROUNDS + 1));
  for (const standing of standings) {
    settings.progress(`${standing.entry.name}: open`);
    await attempt(standing, () => open(standing, redis.url, part));
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    settings.progress(`round ${round + 1} of ${ROUNDS}`);
    for (const [at, { keys }] of MODES.entries()) {
      for (const standing of standings) {
        await attempt(standing, async () => {
          const result = await loop(standing, { keys, seconds: part });
          standing.rates[at]?.push(result.rate);
          standing.costs[at]?.push(result.cost);
        });
      }
    }
  }
  for (const { worker } of standings) await worker.end();
  return report(standings);
}

/** Opens, shows that it excludes, and runs until the code is compiled. */
async function open(standing: Standing, url: string, seconds: number): Promise<void> {
  await standing.worker.ask('open', {
    name: standing.entry.name,
    options: { url, ttl: TTL, bypass: 0 },
  });
  const [overlaps] = await standing.worker.ask<number>('rivalry', undefined);
  if (overlaps !== 0) throw new Error(`disqualified: ${overlaps} were inside together`);
  for (const { keys } of MODES) await loop(standing, { keys, seconds });
}

async function loop({ worker }: Standing, input: LoopInput): Promise<LoopResult> {
  const [result] = await worker.ask<LoopResult>('loop', input, input.seconds);
  if (result === undefined) throw new Error('no result');
  if (result.overlaps > 0) throw new Error(`disqualified: ${result.overlaps} were inside together`);
  return result;
}

async function attempt(standing: Standing, step: () => Promise<void>): Promise<void> {
  if (standing.error !== undefined) return;
  await step().catch((error: unknown) => (standing.error = sentence(error)));
}

function report(standings: readonly Standing[]): Report {
  const floor = standings.find(({ entry }) => entry.kind === 'floor');
  const ratio = ({ rates }: Standing, mode: number): number =>
    medianRatio(rates[mode] ?? [], floor?.rates[mode] ?? []);
  const ran = standings.filter(({ error }) => error === undefined);
  const ours = ran.find(({ entry }) => entry.kind === 'ours');
  return {
    tables: [
      {
        title: 'A free lock, taken and given back: locks a second, and against plain ioredis',
        columns: ['', ...MODES.flatMap(({ label }) => [label, 'ratio', 'Node µs'])],
        rows: standings.map((standing) => [
          standing.entry.name,
          ...(standing.error === undefined
            ? MODES.flatMap((_, mode) => [
                digits(median(standing.rates[mode] ?? [])),
                times(ratio(standing, mode)),
                digits(median(standing.costs[mode] ?? [])),
              ])
            : [standing.error]),
        ]),
        note: "Node µs: processor time of the client's process for one lock.",
      },
    ],
    targets: ours === undefined ? [] : targetsOf(ours, ran, ratio),
    plots: [
      {
        file: 'uncontended.svg',
        specification: bars({
          title: 'A free lock: locks a second against plain ioredis (1.0)',
          value: 'times plain ioredis',
          rows: ran.flatMap((standing) =>
            MODES.map(({ label }, mode) => ({
              name: standing.entry.name,
              panel: label,
              value: ratio(standing, mode),
              ours: standing.entry.kind === 'ours',
            })),
          ),
        }),
      },
    ],
    figures: standings.map(({ entry, rates, costs, error }) => ({ name: entry.name, rates, costs, error })),
  };
}

function targetsOf(
  ours: Standing,
  ran: readonly Standing[],
  ratio: (standing: Standing, mode: number) => number,
): Target[] {
  return MODES.flatMap(({ label, goal }, mode) => {
    const own = ratio(ours, mode);
    const best = ran
      .filter(({ entry }) => entry.kind === 'peer')
      .map((standing) => ({
        name: standing.entry.name,
        ratio: medianRatio(ours.rates[mode] ?? [], standing.rates[mode] ?? []),
      }))
      .sort((one, other) => one.ratio - other.ratio)[0];
    return [
      {
        benchmark: 'uncontended',
        what: `${label}, against plain ioredis`,
        goal: `>= ${goal} x`,
        measured: times(own),
        met: own >= goal,
      },
      {
        benchmark: 'uncontended',
        what: `${label}, against the best peer`,
        goal: '> 1 x',
        measured: `${times(best?.ratio ?? NaN)}${best === undefined ? '' : ` (${best.name})`}`,
        met: best === undefined ? undefined : best.ratio > 1,
      },
    ];
  });
}
