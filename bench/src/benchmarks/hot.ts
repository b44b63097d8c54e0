import { isWanted, type Benchmark, type Report, type Settings, type Target } from '../benchmark';
import { REDIS_ENTRIES, type Entry } from '../contestants/index';
import { median } from '../measuring/statistics';
import type { TurnFindings } from '../measuring/turns';
import { digits, percent, times } from '../report/format';
import { bars } from '../report/plots';
import { sentence } from '../workers/worker';
import { QueueTeam } from './queue-team';

const CALLERS = 100;
const ROUNDS = { strict: 3, bypass: 2 };
const TTL = 10_000;
const COUNTED_SECONDS = 0.5;
/** Seconds that a round takes beyond what is measured: its run-up and its end. */
const AROUND = 0.6;
const LONGEST_ROUND = 2;
/** Seconds until the processes of a contestant have started. */
const STARTING = 1.5;

export const hot: Benchmark = {
  name: 'hot',
  subject: '4 processes x 25 callers that queue for one lock in Redis',
  seconds: 160,
  run,
};

interface Standing {
  readonly entry: Entry;
  readonly findings: Map<number, TurnFindings[]>;
  commands: number;
  error: string | undefined;
  /** Its processes, as long as they live. */
  team: QueueTeam | undefined;
}

async function run(settings: Settings): Promise<Report> {
  const { url } = await settings.startRedis();
  const insides = settings.bypass === 0 ? [0, 1] : [0];
  settings.progress('no lock, which must be caught');
  await showThatTheCheckCatches(url);
  const serialRates: number[] = [];
  const standings: Standing[] = REDIS_ENTRIES.filter(
    ({ name, kind }) => kind === 'ours' || isWanted(settings, name),
  ).map((entry) => ({ entry, findings: new Map(), commands: NaN, error: undefined, team: undefined }));
  const rounds = settings.bypass === 0 ? ROUNDS.strict : ROUNDS.bypass;
  const parts = standings.length * insides.length * rounds;
  const seconds = Math.min(
    LONGEST_ROUND,
    Math.max(0.3, (settings.seconds - standings.length * STARTING) / parts - AROUND),
  );
  for (let round = 0; round < rounds; round += 1) {
    serialRates.push(await serial(url));
    for (const standing of standings) {
      if (standing.error !== undefined) continue;
      settings.progress(`round ${round + 1} of ${rounds}: ${standing.entry.name}`);
      await play(standing, { url, round, insides, seconds, bypass: settings.bypass });
    }
  }
  for (const standing of standings) await dismiss(standing);
  return report(standings, { insides, serialRate: median(serialRates), bypass: settings.bypass });
}

interface RoundOfOne {
  readonly url: string;
  readonly round: number;
  readonly insides: readonly number[];
  readonly seconds: number;
  readonly bypass: number;
}

async function play(standing: Standing, round: RoundOfOne): Promise<void> {
  const { url, bypass } = round;
  try {
    if (standing.team === undefined) {
      standing.team = new QueueTeam(url);
      await standing.team.open(standing.entry.name, { ttl: TTL, bypass });
    }
    const unserved = await playWith(standing.team, standing, round);
    // Those who still try would do so in the others' rounds.
    if (unserved > 0) await dismiss(standing);
  } catch (error) {
    standing.error = sentence(error);
    await dismiss(standing);
  }
}

async function playWith(
  team: QueueTeam,
  standing: Standing,
  { round, insides, seconds }: RoundOfOne,
): Promise<number> {
  const { name } = standing.entry;
  let unserved = 0;
  for (const inside of insides) {
    const key = `hot:${name}:${inside}:${round}`;
    const found = await team.play({ key, callers: CALLERS, inside, seconds });
    standing.findings.set(inside, [...(standing.findings.get(inside) ?? []), found]);
    unserved += found.unserved;
  }
  if (round > 0) return unserved;
  standing.commands = await team.commandsPerLock({
    key: `hot:${name}:counted`,
    callers: CALLERS,
    inside: 0,
    seconds: COUNTED_SECONDS,
  });
  return unserved;
}

async function dismiss(standing: Standing): Promise<void> {
  await standing.team?.end();
  standing.team = undefined;
}

async function showThatTheCheckCatches(url: string): Promise<void> {
  const team = new QueueTeam(url);
  try {
    await team.open('no-lock', { ttl: TTL, bypass: 0 });
    const caught = await team
      .play({ key: 'none', callers: CALLERS, inside: 1, seconds: 0.1 })
      .catch(sentence);
    if (typeof caught !== 'string' || !caught.includes('disqualified')) {
      throw new Error(
        'The check of exclusion lets the absence of a lock pass: nothing here would prove anything.',
      );
    }
  } finally {
    await team.end();
  }
}

/** How often the work of 1 ms can be done in a second, one after the other, with no lock at all. */
async function serial(url: string): Promise<number> {
  const team = new QueueTeam(url);
  try {
    await team.open('no-lock', { ttl: TTL, bypass: 0 });
    return (await team.play({ key: 'serial', callers: 1, inside: 1, seconds: 1 })).rate;
  } finally {
    await team.end();
  }
}

interface Frame {
  readonly insides: readonly number[];
  readonly serialRate: number;
  readonly bypass: number;
}

function report(standings: readonly Standing[], frame: Frame): Report {
  const title = frame.bypass === 0 ? 'hot' : `hot --bypass ${frame.bypass}`;
  const ran = standings.filter(({ error }) => error === undefined);
  return {
    tables: frame.insides.map((inside) => ({
      title: `4 processes x 25 callers on one key, ${inside} ms inside`,
      columns: ['', 'locks/s', 'p50 ms', 'p99 ms', 'worst ms', 'out of order', 'commands a lock'],
      rows: standings.map((standing) => [
        standing.entry.name,
        ...(standing.error === undefined ? cells(standing, inside) : [standing.error]),
      ]),
      ...(inside === 0
        ? {}
        : {
            note: `The same work without a lock, one after the other: ${digits(frame.serialRate)} a second.`,
          }),
    })),
    targets: targetsOf(title, ran, frame),
    plots: [
      {
        file: frame.bypass === 0 ? 'hot.svg' : 'hot-bypass.svg',
        specification: bars({
          title: `100 callers in 4 processes on one key${frame.bypass === 0 ? '' : `, bypass ${frame.bypass}`}`,
          value: 'logarithmic',
          scale: 'log',
          rows: ran.flatMap((standing) => [
            bar(standing, 'locks a second', middle(standing, 0, 'rate')),
            bar(standing, 'p99 wait, milliseconds', middle(standing, 0, 'p99')),
          ]),
        }),
      },
    ],
    figures: {
      serialRate: frame.serialRate,
      contestants: standings.map(({ entry, findings, commands, error }) => ({
        name: entry.name,
        findings: Object.fromEntries(findings),
        commands,
        error,
      })),
    },
  };
}

function bar(standing: Standing, panel: string, value: number) {
  return { name: standing.entry.name, panel, value, ours: standing.entry.kind === 'ours' };
}

function cells(standing: Standing, inside: number): string[] {
  return [
    digits(middle(standing, inside, 'rate')),
    digits(middle(standing, inside, 'p50')),
    digits(middle(standing, inside, 'p99')),
    digits(middle(standing, inside, 'worst')),
    percent(middle(standing, inside, 'outOfOrder')),
    inside === 0 ? digits(standing.commands) : '',
  ];
}

function middle({ findings }: Standing, inside: number, figure: keyof TurnFindings): number {
  return median((findings.get(inside) ?? []).map((found) => found[figure]));
}

function targetsOf(benchmark: string, ran: readonly Standing[], frame: Frame): Target[] {
  const ours = ran.find(({ entry }) => entry.kind === 'ours');
  if (ours === undefined) return [];
  const peers = ran.filter(({ entry }) => entry.kind === 'peer');
  const bestRate = best(peers, (peer) => -middle(peer, 0, 'rate'));
  const bestP99 = best(peers, (peer) => middle(peer, 0, 'p99'));
  const rate = bestRate && middle(ours, 0, 'rate') / middle(bestRate, 0, 'rate');
  const p99 = bestP99 && middle(ours, 0, 'p99') / middle(bestP99, 0, 'p99');
  const against = (value: number | undefined, peer: Standing | undefined): string =>
    value === undefined || peer === undefined ? '-' : `${times(value)} (${peer.entry.name})`;
  const target = (what: string, goal: string, measured: string, met: boolean | undefined): Target => ({
    benchmark,
    what,
    goal,
    measured,
    met,
  });
  if (frame.bypass > 0) {
    return [
      target(
        'locks a second, against the best peer',
        '>= 10 x',
        against(rate, bestRate),
        beats(rate, (value) => value >= 10),
      ),
      target(
        'p99, against the lowest of the peers',
        '< 1 x',
        against(p99, bestP99),
        beats(p99, (value) => value < 1),
      ),
    ];
  }
  const outOfOrder = Math.max(...frame.insides.map((inside) => middle(ours, inside, 'outOfOrder')));
  const ofSerial = middle(ours, 1, 'rate') / frame.serialRate;
  return [
    target('out of order', '0', percent(outOfOrder), outOfOrder === 0),
    target(
      'p99, against the lowest of the peers',
      '<= 0.2 x',
      against(p99, bestP99),
      beats(p99, (value) => value <= 0.2),
    ),
    target(
      'locks a second, against the best peer',
      '>= 1 x',
      against(rate, bestRate),
      beats(rate, (value) => value >= 1),
    ),
    target('commands a lock', '<= 2', digits(ours.commands), ours.commands <= 2),
    target('with 1 ms inside, of the serial limit', '>= 0.85 x', times(ofSerial), ofSerial >= 0.85),
  ];
}

function best(peers: readonly Standing[], cost: (peer: Standing) => number): Standing | undefined {
  return peers.toSorted((one, other) => cost(one) - cost(other))[0];
}

/** Undefined where there is nobody to compare with. */
function beats(ratio: number | undefined, isEnough: (ratio: number) => boolean): boolean | undefined {
  return ratio === undefined ? undefined : isEnough(ratio);
}
