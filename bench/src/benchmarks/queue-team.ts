import { setTimeout as sleep } from 'node:timers/promises';
import type { ContestantOptions } from '../contestants/contestant';
import { countCommands } from '../measuring/command-count';
import { judge, type TurnFindings, type Turns } from '../measuring/turns';
import { Team } from '../workers/team';
import type { QueueInput } from './queue.worker';

export interface QueueRound {
  readonly key: string;
  /** Callers in all processes together. */
  readonly callers: number;
  readonly inside: number;
  readonly seconds: number;
  /** Milliseconds until the queue stands and what happens counts. */
  readonly runUp?: number;
  /** Milliseconds that those who wait at the end get to come in, so that the processes can play again. */
  readonly drain?: number;
}

const RUN_UP = 300;
const DRAIN = 4_000;
const PROCESSES = 4;

/** Four processes in which callers queue for one lock. */
export class QueueTeam {
  private readonly team = new Team('benchmarks/queue.worker', PROCESSES);

  constructor(private readonly url: string) {}

  async open(name: string, options: Omit<ContestantOptions, 'url'>): Promise<void> {
    await this.team.ask('open', { name, options: { url: this.url, ...options } });
  }

  /** @throws {Error} two were inside together: the contestant is disqualified. */
  async play(round: QueueRound): Promise<TurnFindings> {
    const from = now() + (round.runUp ?? RUN_UP);
    const to = from + round.seconds * 1_000;
    const findings = judge(await this.queue(round, to), { from, to });
    if (findings.overlaps > 0) {
      throw new Error(
        `disqualified: ${findings.overlaps} of ${findings.entries} entered while another was inside`,
      );
    }
    if (findings.entries === 0) throw new Error('nobody got in');
    return findings;
  }

  /** How many commands the clients send for one lock: in a round of its own, for counting costs time. */
  async commandsPerLock(round: QueueRound): Promise<number> {
    const runUp = round.runUp ?? RUN_UP;
    const from = now() + runUp;
    const to = from + round.seconds * 1_000;
    const playing = this.queue(round, to);
    playing.catch(() => undefined);
    await sleep(runUp);
    const commands = await countCommands(this.url, () =>
      sleep(Math.max(0, to - now())).then(() => undefined),
    );
    return commands / Math.max(1, judge(await playing, { from, to }).entries);
  }

  end(): Promise<void> {
    return this.team.end();
  }

  private queue({ key, callers, inside, seconds, drain }: QueueRound, until: number): Promise<Turns[]> {
    const inputOf = (index: number): QueueInput => ({
      key,
      callers: Math.floor(callers / PROCESSES) + (index < callers % PROCESSES ? 1 : 0),
      inside,
      until,
      drain: drain ?? DRAIN,
    });
    return this.team.ask<Turns>('queue', inputOf, seconds);
  }
}

/** The machine's monotonic clock, as the workers read it. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
