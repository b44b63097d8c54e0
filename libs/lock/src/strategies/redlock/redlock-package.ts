// @ts-expect-error: the package has types, but its `exports` hide them. What is used of it is declared below.
import Redlock from 'redlock';
import { Ballot } from './ballot.js';
import { NotAskedError, type QuorumNode } from './quorum-node.js';

/*
 * All that is used of the package `redlock`, 5.0.0-beta.2: which scripts run on the nodes, and what counts as a quorum.
 * It makes one attempt at a time here. Its retries count into the lease, it has no limit for a frozen node, and its
 * errors don't tell a lock that is taken from a node that is away: so waiting, time limits and the counting of votes are
 * ours. It gets a voter for each node instead of a client, and nothing of it is seen outside of this file.
 */

/** One operation on all nodes. */
export interface Round<Result> {
  readonly ballot: Ballot;
  /** Resolves when the outcome is certain; never rejects. */
  readonly result: Promise<Result>;
  /** Resolves when nothing of it is under way any more, what it cleans up included; never rejects. */
  readonly settled: Promise<void>;
}

export interface RoundSettings {
  readonly nodes: readonly QuorumNode[];
  /** Milliseconds that each node gets to answer. */
  readonly limit: number;
}

/** A key, and the value that says whose it is. */
export interface Holding {
  readonly key: string;
  readonly value: string;
}

/**
 * Tries once to take the key on a majority of the nodes. Without a majority the package takes back what it got, and what
 * it did not hear of: the command that takes back follows on the same connection, so it arrives after one that is late.
 *
 * @param duration - milliseconds, a whole number
 * @returns the value that the key was taken with; undefined when it was not
 */
export function acquireRound(
  key: string,
  duration: number,
  { nodes, limit }: RoundSettings,
): Round<string | undefined> {
  const ballot = new Ballot(nodes.length);
  const voters = nodes.map((node) => new AcquireVoter(node, ballot, limit, duration));
  const taken = over(voters)
    .acquire([key], duration)
    .then(
      ({ value }) => value,
      () => undefined,
    );
  const result = ballot.decided.then(() => (ballot.outcome === 'won' ? taken : undefined));
  return { ballot, result, settled: settledAfter(taken, voters) };
}

/** Tries once to let the key last for `duration` from now, longer or shorter than before. */
export function extendRound(
  holding: Holding,
  duration: number,
  { nodes, limit }: RoundSettings,
): Round<void> {
  const ballot = new Ballot(nodes.length);
  const voters = nodes.map((node) => new Voter(node, ballot, limit));
  const extended = over(voters).extend(lockOf(holding), duration).catch(ignored);
  return { ballot, result: ballot.decided, settled: settledAfter(extended, voters) };
}

/** Tells every node to forget the key, silent ones as well. */
export function releaseRound(holding: Holding, { nodes, limit }: RoundSettings): Round<void> {
  const ballot = new Ballot(nodes.length);
  const voters = nodes.map((node) => new ReleaseVoter(node, ballot, limit));
  const released = over(voters).release(lockOf(holding)).catch(ignored);
  return { ballot, result: ballot.decided, settled: settledAfter(released, voters) };
}

/** The part of a client that the package calls. */
interface RedlockClient {
  evalsha(hash: string, keyCount: number, args: readonly (string | number)[]): Promise<unknown>;
  eval(script: string, keyCount: number, args: readonly (string | number)[]): Promise<unknown>;
}

interface RedlockLock {
  readonly resources: readonly string[];
  readonly value: string;
  readonly attempts: readonly unknown[];
  readonly expiration: number;
}

interface RedlockInstance {
  on(event: 'error', listener: (error: Error) => void): unknown;
  acquire(resources: readonly string[], duration: number): Promise<RedlockLock>;
  extend(lock: RedlockLock, duration: number): Promise<unknown>;
  release(lock: RedlockLock): Promise<unknown>;
}

const RedlockClass = Redlock as new (
  clients: Iterable<RedlockClient>,
  settings: { readonly retryCount: number },
) => RedlockInstance;

const IS_TAKEN = `return redis.call('exists', KEYS[1])`;

function over(voters: readonly Voter[]): RedlockInstance {
  const redlock = new RedlockClass(voters, { retryCount: 0 });
  // Each vote against is an `error` event, which ends the process where nobody listens. The ballot has counted it.
  redlock.on('error', ignored);
  return redlock;
}

/** The package judges the lease by the wall clock; the deadline is kept by ours, so here it never ends. */
function lockOf({ key, value }: Holding): RedlockLock {
  return { resources: [key], value, attempts: [], expiration: Infinity };
}

async function settledAfter(official: Promise<unknown>, voters: readonly Voter[]): Promise<void> {
  await official;
  await Promise.all(voters.map((voter) => voter.settled()));
}

/** Stands for one node in one round, and counts its vote. */
class Voter implements RedlockClient {
  protected hasVoted = false;
  /** Whether the node may have got, or may still get, what the vote is about. */
  protected wasAsked = true;
  private readonly sent: Promise<unknown>[] = [];

  constructor(
    protected readonly node: QuorumNode,
    private readonly ballot: Ballot,
    protected readonly limit: number,
  ) {}

  /**
   * Scripts are always sent whole. By their hash, one that takes the key could go out a second time after the one that
   * gives it back: the reply NOSCRIPT comes between them.
   */
  evalsha(): Promise<never> {
    return Promise.reject(new Error('NOSCRIPT'));
  }

  eval(script: string, _keyCount: number, [key, ...args]: readonly (string | number)[]): Promise<unknown> {
    const reply = this.vote(script, String(key), args);
    this.sent.push(reply.catch(ignored));
    return reply;
  }

  async settled(): Promise<void> {
    await Promise.all(this.sent);
  }

  protected ask(script: string, key: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.node.ask(script, key, args, this.limit);
  }

  protected async vote(script: string, key: string, args: readonly (string | number)[]): Promise<unknown> {
    this.hasVoted = true;
    try {
      const reply = await this.ask(script, key, args);
      if (reply === 1) this.ballot.voteFor();
      else this.ballot.voteAgainst(this.node);
      return reply;
    } catch (thrown) {
      // The package turns anything else into a rejection that nobody handles.
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.wasAsked = !(error instanceof NotAskedError);
      this.ballot.noVote(this.node, error);
      throw error;
    }
  }
}

class AcquireVoter extends Voter {
  constructor(
    node: QuorumNode,
    ballot: Ballot,
    limit: number,
    private readonly duration: number,
  ) {
    super(node, ballot, limit);
  }

  /** A node that abstains still says whether somebody has the key: then it is taken, and not unknown. */
  protected override async ask(
    script: string,
    key: string,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const refusal = this.node.abstention(this.duration);
    if (refusal === undefined) return super.ask(script, key, args);
    if ((await super.ask(IS_TAKEN, key, [])) === 1) return 0;
    throw refusal;
  }

  /** The second script of a round takes back what the first one may have taken: no vote, and for silent nodes too. */
  protected override vote(script: string, key: string, args: readonly (string | number)[]): Promise<unknown> {
    if (!this.hasVoted) return super.vote(script, key, args);
    return this.wasAsked ? this.node.tell(script, key, args, this.limit) : Promise.resolve(0);
  }
}

class ReleaseVoter extends Voter {
  protected override ask(script: string, key: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.node.tell(script, key, args, this.limit);
  }
}

function ignored(): undefined {
  return undefined;
}
