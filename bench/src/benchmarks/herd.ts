import { isWanted, type Benchmark, type Report, type Settings } from '../benchmark';
import { median } from '../measuring/statistics';
import { digits, times } from '../report/format';
import { lines } from '../report/plots';
import { sentence } from '../workers/worker';
import { QueueTeam, type QueueRound } from './queue-team';

const SIZES = [10, 100, 1_000, 10_000];
const NAMES = ['redis', 'redis-semaphore', 'redlock'];
/** Beyond this, those who ask again and again keep Redis and both cores so busy that nothing else is measured. */
const MOST_OF_A_PEER = 1_000;
const ROUNDS = 2;
const TTL = 10_000;
const COUNTED_SECONDS = 0.5;

export const herd: Benchmark = {
  name: 'herd',
  subject: 'what one hand-off costs while 10 to 10 000 wait for one lock in Redis',
  seconds: 110,
  run,
};

interface Standing {
  readonly name: string;
  readonly callers: number;
  /** Microseconds of each round. */
  readonly handOffs: number[];
  commands: number;
  error: string | undefined;
}

async function run(settings: Settings): Promise<Report> {
  const { url } = await settings.startRedis();
  const standings = NAMES.filter((name) => name === 'redis' || isWanted(settings, name)).flatMap((name) =>
    SIZES.filter((callers) => name === 'redis' || callers <= MOST_OF_A_PEER).map((callers): Standing => ({
      name,
      callers,
      handOffs: [],
      commands: NaN,
      error: undefined,
    })),
  );
  const seconds = Math.max(0.5, settings.seconds / (standings.length * ROUNDS) - 4);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const standing of standings) {
      // One round shows what becomes of the peers; the target is the library's own.
      if (standing.error !== undefined || (round > 0 && standing.name !== 'redis')) continue;
      settings.progress(
        `round ${round + 1} of ${ROUNDS}: ${standing.name}, ${digits(standing.callers)} waiters`,
      );
      await play(standing, { url, round, seconds });
    }
  }
  return report(standings);
}

async function play(
  standing: Standing,
  { url, round, seconds }: { readonly url: string; readonly round: number; readonly seconds: number },
): Promise<void> {
  const team = new QueueTeam(url);
  const { name } = standing;
  try {
    await team.open(name, { ttl: TTL, bypass: 0 });
    const { rate } = await team.play(roundOf(standing, String(round), seconds));
    standing.handOffs.push(1e6 / rate);
  } catch (error) {
    standing.error = sentence(error);
  } finally {
    await team.end();
  }
  if (round === 0 && standing.error === undefined) await count(standing, url);
}

/** In processes of its own: those above may still have waiters. */
async function count(standing: Standing, url: string): Promise<void> {
  const team = new QueueTeam(url);
  const { name } = standing;
  try {
    await team.open(name, { ttl: TTL, bypass: 0 });
    standing.commands = await team.commandsPerLock(roundOf(standing, 'counted', COUNTED_SECONDS));
  } catch (error) {
    standing.error = sentence(error);
  } finally {
    await team.end();
  }
}

function roundOf({ name, callers }: Standing, round: string, seconds: number): QueueRound {
  return {
    key: `${name}:herd:${callers}:${round}`,
    callers,
    inside: 0,
    seconds,
    // The processes end afterwards, with all who wait.
    drain: 0,
  };
}

function report(standings: readonly Standing[]): Report {
  const ours = standings.filter(({ name, error }) => name === 'redis' && error === undefined);
  const [least, most] = [ours[0], ours.at(-1)];
  const growth = median(most?.handOffs ?? []) / median(least?.handOffs ?? []);
  const commands = ours.map((standing) => standing.commands);
  const moreCommands = Math.max(...commands) / Math.min(...commands);
  const isWhole = ours.length === SIZES.length;
  return {
    tables: [
      {
        title: 'One hand-off, with so many waiting: microseconds, and commands that clients send',
        columns: ['', 'waiters', 'microseconds', 'commands'],
        rows: standings.map(({ name, callers, handOffs, commands: sent, error }) => [
          name,
          digits(callers),
          ...(error === undefined ? [digits(median(handOffs)), digits(sent)] : [error]),
        ]),
      },
    ],
    targets: [
      {
        benchmark: 'herd',
        what: `cost of a hand-off, ${digits(most?.callers ?? NaN)} waiters against ${least?.callers ?? '-'}`,
        goal: '< 1.5 x',
        measured: times(growth),
        met: isWhole && growth < 1.5,
      },
      {
        benchmark: 'herd',
        what: 'commands a hand-off, the most against the fewest of all sizes',
        goal: 'constant (<= 1.1 x)',
        measured: `${times(moreCommands)} (${commands.map(digits).join(', ')})`,
        met: isWhole && moreCommands <= 1.1,
      },
    ],
    plots: [
      {
        file: 'herd.svg',
        specification: lines({
          title: 'One hand-off while so many wait',
          x: 'waiters',
          value: 'microseconds',
          rows: standings
            .filter(({ error }) => error === undefined)
            .map(({ name, callers, handOffs }) => ({ name, x: callers, value: median(handOffs) })),
        }),
      },
    ],
    figures: standings,
  };
}
