import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../../test/support/servers/redis-server';
import { isWanted, type Benchmark, type Report, type Settings } from '../benchmark';
import { median } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { bars } from '../report/plots';
import { Worker } from '../workers/team';
import { sentence } from '../workers/worker';

const NAMES = ['redis', 'redlock', 'redis-semaphore', 'murlock', 'node-redisson'];
const TTL = 2_000;
const ROUNDS = 2;
/** Milliseconds until everybody stands in line. */
const LINE_UP = 500;
/** Seconds that the next holder may take before it counts as never. */
const PATIENCE = 15;
/** Milliseconds that the holder stays after Redis is back. */
const STAYS = 1_000;

export const recovery: Benchmark = {
  name: 'recovery',
  subject: 'how long until the next holder, when a holder or a waiter is killed or Redis starts again empty',
  seconds: 60,
  run,
};

const SCENES = ['holder killed', 'waiter killed', 'Redis restarted empty'] as const;
type Scene = (typeof SCENES)[number];

interface Standing {
  readonly name: string;
  /** Milliseconds until the next holder, of each round. */
  readonly delays: Map<Scene, number[]>;
  readonly errors: Map<Scene, string>;
  /** How often the next one was let in while the holder was still inside, of all restarts. */
  overlaps: number;
}

async function run(settings: Settings): Promise<Report> {
  const redis = await settings.startRedis();
  const standings = NAMES.filter((name) => name === 'redis' || isWanted(settings, name)).map(
    (name): Standing => ({ name, delays: new Map(), errors: new Map(), overlaps: 0 }),
  );
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const scene of SCENES) {
      settings.progress(`round ${round + 1} of ${ROUNDS}: ${scene}`);
      // Everybody in the same scene at once: nearly all of it is waiting.
      await playScene(standings, { scene, redis, round });
    }
  }
  return report(standings);
}

interface SceneOfRound {
  readonly scene: Scene;
  readonly redis: RedisServer;
  readonly round: number;
}

async function playScene(
  standings: readonly Standing[],
  { scene, redis, round }: SceneOfRound,
): Promise<void> {
  const crews: Crew[] = [];
  for (const standing of standings) {
    if (standing.errors.has(scene)) continue;
    const crew = new Crew(standing);
    crews.push(crew);
    await crew.do(scene, () => crew.open(redis.url));
  }
  await Promise.all(
    crews.map((crew) => crew.do(scene, () => crew.lineUp(`${SCENES.indexOf(scene)}:${round}`))),
  );
  await sleep(LINE_UP);
  if (scene === 'Redis restarted empty') {
    await redis.restart({ keepData: false });
    const backAt = now();
    await Promise.all(crews.map((crew) => crew.do(scene, () => crew.afterRestart(backAt))));
  } else {
    const act = scene === 'holder killed' ? 'holderKilled' : 'waiterKilled';
    await Promise.all(crews.map((crew) => crew.do(scene, () => crew[act]())));
  }
  await Promise.all(crews.map((crew) => crew.end()));
}

/** One holds, the others wait, in this order. */
class Crew {
  private readonly workers = Array.from({ length: 3 }, () => new Worker('benchmarks/recovery.worker'));
  private error: string | undefined;

  constructor(private readonly standing: Standing) {}

  async do(scene: Scene, step: () => Promise<number | undefined>): Promise<void> {
    if (this.error !== undefined) return;
    const { delays, errors } = this.standing;
    try {
      const delay = await step();
      if (delay !== undefined) delays.set(scene, [...(delays.get(scene) ?? []), delay]);
    } catch (error) {
      this.error = sentence(error);
      errors.set(scene, this.error);
    }
  }

  async open(url: string): Promise<undefined> {
    const options = { url, ttl: TTL, bypass: 0 };
    await Promise.all(
      this.workers.map((worker) => worker.ask('open', { name: this.standing.name, options })),
    );
  }

  async lineUp(scene: string): Promise<undefined> {
    const key = `${this.standing.name}:recovery:${scene}`;
    await this.holder.ask('hold', key);
    await this.first.ask('ask', key);
    await sleep(50);
    await this.second.ask('ask', key);
  }

  async holderKilled(): Promise<number> {
    const killedAt = now();
    await this.holder.kill();
    return (await entered([this.first, this.second])) - killedAt;
  }

  async waiterKilled(): Promise<number> {
    await this.first.kill();
    await sleep(100);
    const leftAt = now();
    await this.holder.ask('leave', undefined);
    return (await entered([this.second])) - leftAt;
  }

  /** Counted from when Redis takes connections again. */
  async afterRestart(backAt: number): Promise<number> {
    const entering = entered([this.first, this.second]);
    entering.catch(() => undefined);
    await sleep(STAYS);
    const leftAt = now();
    await this.holder.ask('leave', undefined);
    const at = await entering;
    if (at < leftAt) this.standing.overlaps += 1;
    return at - backAt;
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()));
  }

  private get holder(): Worker {
    return this.at(0);
  }

  private get first(): Worker {
    return this.at(1);
  }

  private get second(): Worker {
    return this.at(2);
  }

  private at(index: number): Worker {
    const worker = this.workers[index];
    if (worker === undefined) throw new Error('no such worker');
    return worker;
  }
}

/** When one of them got in. */
async function entered(workers: readonly Worker[]): Promise<number> {
  const never = new AbortController();
  try {
    return await Promise.race([
      Promise.any(workers.map((worker) => worker.ask<number>('entered', undefined, PATIENCE))),
      sleep(PATIENCE * 1_000, undefined, { signal: never.signal }).then(() => {
        throw new Error(`nobody got in for ${PATIENCE} s`);
      }),
    ]);
  } finally {
    never.abort();
  }
}

function report(standings: readonly Standing[]): Report {
  const delay = ({ delays }: Standing, scene: Scene): number => median(delays.get(scene) ?? []);
  const ours = standings.find(({ name }) => name === 'redis');
  const ofLease = ours === undefined ? NaN : delay(ours, 'holder killed') / TTL;
  return {
    tables: [
      {
        title: `Milliseconds until the next holder, with a lease of ${digits(TTL)} ms`,
        columns: ['', ...SCENES, `let in beside the holder, of ${ROUNDS} restarts`],
        rows: standings.map((standing) => [
          standing.name,
          ...SCENES.map((scene) => standing.errors.get(scene) ?? digits(delay(standing, scene))),
          String(standing.overlaps),
        ]),
        note: `After the restart the holder stayed for another ${digits(STAYS)} ms: who got in sooner was let in beside it.`,
      },
    ],
    targets:
      ours === undefined
        ? []
        : [
            {
              benchmark: 'recovery',
              what: 'a killed holder keeps the others out, against the lease',
              goal: '<= 1 lease (its promise)',
              measured: times(ofLease),
              met: ofLease <= 1,
            },
            {
              benchmark: 'recovery',
              what: 'after a killed waiter, the next one got in',
              goal: 'reported',
              measured: `${digits(delay(ours, 'waiter killed'))} ms`,
              met: undefined,
            },
            {
              benchmark: 'recovery',
              what: 'after Redis started again empty, the next one got in; let in beside the holder',
              goal: 'reported',
              measured: `${digits(delay(ours, 'Redis restarted empty'))} ms; ${ours.overlaps} of ${ROUNDS}`,
              met: undefined,
            },
          ],
    plots: [
      {
        file: 'recovery.svg',
        specification: bars({
          title: `Milliseconds until the next holder, lease ${digits(TTL)} ms`,
          value: 'milliseconds',
          rows: standings.flatMap((standing) =>
            (['holder killed', 'waiter killed'] as const)
              .filter((scene) => !standing.errors.has(scene))
              .map((scene) => ({
                name: standing.name,
                panel: scene,
                value: delay(standing, scene),
                ours: standing.name === 'redis',
              })),
          ),
        }),
      },
    ],
    figures: standings.map((standing) => ({
      name: standing.name,
      delays: Object.fromEntries(standing.delays),
      errors: Object.fromEntries(standing.errors),
      overlaps: standing.overlaps,
    })),
  };
}

function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
