import { isWanted, type Benchmark, type Report, type Settings } from '../benchmark';
import { digits, percent } from '../report/format';
import { Worker } from '../workers/team';
import { sentence } from '../workers/worker';
import type { Grown, Spent } from './many.worker';

const HELD = 10_000;
const TTL = 10_000;
/** In seconds: each lock is renewed after a third of its lease, and a shorter look would see nothing of that. */
const SHORTEST_LOOK = 4;
const SAMPLE = Array.from({ length: 20 }, (_, at) => `many:${at * 500}`);
const NAMES = ['redis', 'redis-semaphore', 'node-redisson'];

export const many: Benchmark = {
  name: 'many',
  subject: '10 000 held locks that are renewed, and 10 000 waiters: processor time and memory',
  seconds: 45,
  run,
};

interface Standing {
  readonly name: string;
  core: number;
  heldBytes: number;
  waiterBytes: number;
  error: string | undefined;
}

async function run(settings: Settings): Promise<Report> {
  const { url } = await settings.startRedis();
  const standings = NAMES.filter((name) => name === 'redis' || isWanted(settings, name)).map(
    (name): Standing => ({ name, core: NaN, heldBytes: NaN, waiterBytes: NaN, error: undefined }),
  );
  const seconds = Math.max(SHORTEST_LOOK, settings.seconds / standings.length - 5);
  for (const standing of standings) await play(standing, { url, seconds, settings });
  return report(standings);
}

async function play(
  standing: Standing,
  { url, seconds, settings }: { readonly url: string; readonly seconds: number; readonly settings: Settings },
): Promise<void> {
  const { name } = standing;
  const [holder, rival] = [worker(), worker()];
  try {
    const options = { url, ttl: TTL, bypass: 0 };
    await Promise.all([holder, rival].map((each) => each.ask('open', { name, options })));
    settings.progress(`${name}: takes ${digits(HELD)} locks`);
    standing.heldBytes = (await holder.ask<Grown>('hold', HELD)).bytes;
    settings.progress(`${name}: keeps them`);
    standing.core = (await holder.ask<Spent>('spend', seconds, seconds)).core;
    const stolen = await rival.ask<number>('steal', SAMPLE);
    if (stolen > 0) throw new Error(`disqualified: ${stolen} of ${SAMPLE.length} held locks were given away`);
    if (name !== 'redis') return;
    settings.progress(`${name}: ${digits(HELD)} waiters`);
    standing.waiterBytes = (await rival.ask<Grown>('wait', HELD)).bytes;
  } catch (error) {
    standing.error = sentence(error);
  } finally {
    await Promise.all([holder, rival].map((each) => each.kill()));
  }
}

function worker(): Worker {
  return new Worker('benchmarks/many.worker', ['--expose-gc']);
}

function report(standings: readonly Standing[]): Report {
  const ours = standings.find(({ name, error }) => name === 'redis' && error === undefined);
  return {
    tables: [
      {
        title: `${digits(HELD)} locks held in one process, ttl ${digits(TTL)} ms`,
        columns: ['', 'of a core, to renew them', 'bytes a held lock', 'bytes a waiter'],
        rows: standings.map(({ name, core, heldBytes, waiterBytes, error }) => [
          name,
          ...(error === undefined ? [percent(core), digits(heldBytes), digits(waiterBytes)] : [error]),
        ]),
        note: "In the Node process, with the caller's own promises. redis-semaphore renews at 8 of 10 s, the others at a third.",
      },
    ],
    targets:
      ours === undefined
        ? []
        : [
            {
              benchmark: 'many',
              what: `renewal of ${digits(HELD)} locks`,
              goal: '< 5 % of a core',
              measured: percent(ours.core),
              met: ours.core < 0.05,
            },
            {
              benchmark: 'many',
              what: 'memory of a held lock',
              goal: '< 2 KB',
              measured: `${digits(ours.heldBytes)} bytes`,
              met: ours.heldBytes < 2_048,
            },
            {
              benchmark: 'many',
              what: 'memory of a waiter',
              goal: '< 2 KB',
              measured: `${digits(ours.waiterBytes)} bytes`,
              met: ours.waiterBytes < 2_048,
            },
          ],
    plots: [],
    figures: standings,
  };
}
