import { setTimeout as sleep } from 'node:timers/promises';
import type { ContestantOptions } from '../contestants/contestant';
import { countCommands } from '../measuring/command-count';
import { judge, type TurnFindings, type Turns } from '../measuring/turns';
import { Team } from '../workers/team';
import type { EndInput, QueueInput } from './queue.worker';

export interface QueueRound {
  readonly key: string;
  /** Callers in all processes together. */
  readonly callers: number;
  readonly inside: number;
  readonly seconds: number;
  /** Milliseconds that those who wait at the end get to come in, so that the processes can play again. */
  readonly drain?: number;
}

/** What counts begins this long after everybody has asked, in milliseconds. */
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
    await this.begin(round);
    const from = now() + RUN_UP;
    const to = from + round.seconds * 1_000;
    const findings = judge(await this.finish(round, to), { from, to });
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
    await this.begin(round);
    await sleep(RUN_UP);
    const from = now();
    const to = from + round.seconds * 1_000;
    const playing = this.finish(round, to);
    playing.catch(() => undefined);
    const commands = await countCommands(this.url, async () => {
      await sleep(Math.max(0, to - now()));
    });
    return commands / Math.max(1, judge(await playing, { from, to }).entries);
  }

  end(): Promise<void> {
    return this.team.end();
  }

  /** Resolves when everybody has asked: the queue stands. */
  private async begin({ key, callers, inside }: QueueRound): Promise<void> {
    await this.team.ask('begin', (index: number): QueueInput => {
      const share = Math.floor(callers / PROCESSES) + (index < callers % PROCESSES ? 1 : 0);
      return { key, callers: share, inside };
    });
  }

  private finish({ seconds, drain = DRAIN }: QueueRound, until: number): Promise<Turns[]> {
    return this.team.ask<Turns>('end', { until, drain } satisfies EndInput, seconds);
  }
}

/** The machine's monotonic clock, as the workers read it. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
