import { majorityOf, type NodeFailure } from './ballot.js';
import type { QuorumNode } from './quorum-node.js';
import {
  acquireRound,
  extendRound,
  type Holding,
  releaseRound,
  type Round,
  type RoundSettings,
} from './redlock-package.js';

export interface QuorumSettings {
  readonly nodes: readonly QuorumNode[];
  readonly prefix: string;
  /** Milliseconds that a node gets to answer, unless the lease is short. */
  readonly nodeTimeout: number;
  readonly driftFactor: number;
}

/** What the nodes say about one key. */
export interface Survey {
  /** The values under the key, each with the number of nodes that have it. */
  readonly values: ReadonlyMap<string, number>;
  readonly failures: readonly NodeFailure[];
  readonly hasMajority: boolean;
  /** The value that its owner may hold the lock with: on a majority, if the nodes that gave no answer have it too. */
  readonly holder: string | undefined;
}

/** The masters together: where a majority is of one mind, so is the lock. */
export class Quorum {
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(private readonly settings: QuorumSettings) {}

  get nodes(): readonly QuorumNode[] {
    return this.settings.nodes;
  }

  get majority(): number {
    return majorityOf(this.nodes.length);
  }

  /**
   * Begins to connect. Resolves when every node's first attempt succeeded or failed; and soon after a majority's did, for
   * the lock works then.
   */
  async start(): Promise<void> {
    const attempts = this.nodes.map((node) => node.start());
    await new Promise<void>((resolve) => {
      let ended = 0;
      let limit: NodeJS.Timeout | undefined;
      for (const attempt of attempts) {
        void attempt.then(() => {
          ended += 1;
          if (ended === this.majority) limit = setTimeout(resolve, this.settings.nodeTimeout);
          if (ended < attempts.length) return;
          clearTimeout(limit);
          resolve();
        });
      }
    });
  }

  acquire(name: string, duration: number, ttl: number): Round<string | undefined> {
    return this.follow(acquireRound(this.keyOf(name), duration, this.round(ttl)));
  }

  extend(holding: Holding, duration: number, ttl: number): Round<void> {
    return this.follow(extendRound(holding, duration, this.round(ttl)));
  }

  release(holding: Holding, ttl: number): Round<void> {
    return this.follow(releaseRound(holding, this.round(ttl)));
  }

  /**
   * Gives nodes that lost the key, or never had it, the key of the lock that a majority has. Without this a lock that is
   * held for long would be lost when one node after the other is restarted.
   */
  async repair(
    { key, value }: Holding,
    nodes: readonly QuorumNode[],
    duration: number,
    ttl: number,
  ): Promise<void> {
    const { limit } = this.round(ttl);
    const written = nodes.map((node) => node.ask(WRITE_IF_ABSENT, key, [value, duration], limit));
    await this.follow({ settled: settled(written) }).settled;
  }

  /** Who holds the lock: as soon as a majority says so, else when all have answered or let their limit pass. */
  look(name: string): Promise<Survey> {
    const { answers, survey } = this.ask(name, READ);
    return new Promise((resolve) => {
      const look = (): void => {
        const { values } = survey();
        if ([...values.values()].some((count) => count >= this.majority)) resolve(survey());
      };
      answers.forEach((answer) => void answer.then(look));
      void Promise.all(answers).then(() => resolve(survey()));
    });
  }

  /** Takes the lock from whoever holds it, or is about to. What it says is how it was before. */
  async takeAway(name: string): Promise<Survey> {
    const { answers, survey } = this.ask(name, TAKE_AWAY);
    await Promise.all(answers);
    return survey();
  }

  keyOf(name: string): string {
    return `${this.settings.prefix}${name}`;
  }

  /** How long a lease of this duration can be relied on. The 2 ms are for the precision of Redis' own expiry. */
  validityOf(duration: number): number {
    return duration - duration * this.settings.driftFactor - 2;
  }

  /** The duration that a lease needs in order to be relied on for so long. */
  durationFor(validity: number): number {
    return Math.ceil((validity + 2) / (1 - this.settings.driftFactor));
  }

  /** Waits for what is under way, and ends the connections. */
  async close(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  private ask(
    name: string,
    script: string,
  ): { readonly answers: readonly Promise<void>[]; readonly survey: () => Survey } {
    const { nodes, majority } = this;
    const values = new Map<string, number>();
    const failures: NodeFailure[] = [];
    const answers = nodes.map(async (node) => {
      try {
        const value = await node.ask(script, this.keyOf(name), [], this.settings.nodeTimeout);
        if (typeof value === 'string') values.set(value, (values.get(value) ?? 0) + 1);
      } catch (error) {
        failures.push({ node, error: error as Error });
      }
    });
    this.follow({ settled: settled(answers) });
    const survey = (): Survey => ({
      values,
      failures,
      hasMajority: nodes.length - failures.length >= majority,
      holder: [...values].find(([, count]) => count + failures.length >= majority)?.[0],
    });
    return { answers, survey };
  }

  private round(ttl: number): RoundSettings {
    return { nodes: this.nodes, limit: Math.min(this.settings.nodeTimeout, ttl / 3) };
  }

  private follow<R extends { readonly settled: Promise<void> }>(round: R): R {
    const { settled: end } = round;
    this.underWay.add(end);
    void end.then(() => this.underWay.delete(end));
    return round;
  }
}

const READ = `return redis.call('get', KEYS[1])`;
const TAKE_AWAY = `local value = redis.call('get', KEYS[1]); redis.call('del', KEYS[1]); return value`;
const WRITE_IF_ABSENT = `return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])`;

async function settled(pending: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(pending);
}
