import type { QuorumNode } from './quorum-node.js';

/** A node that gave no vote. */
export interface NodeFailure {
  readonly node: QuorumNode;
  readonly error: Error;
}

/**
 * - `won`: a majority did what it was asked to.
 * - `refused`: a majority answered, but too many of them refused.
 * - `unanswered`: too few answered to know anything.
 */
export type BallotOutcome = 'won' | 'refused' | 'unanswered';

/** The votes on one operation. Nodes that refuse and nodes that don't answer are never mixed up. */
export class Ballot {
  /** Resolves as soon as the votes that are still missing can't change the outcome. */
  readonly decided: Promise<void>;
  readonly against: QuorumNode[] = [];
  readonly failures: NodeFailure[] = [];
  private votesFor = 0;
  private decide: () => void = () => undefined;

  constructor(private readonly electorate: number) {
    this.decided = new Promise((resolve) => (this.decide = resolve));
  }

  get majority(): number {
    return majorityOf(this.electorate);
  }

  /** Undefined while it is open. */
  get outcome(): BallotOutcome | undefined {
    const { votesFor, majority } = this;
    const answered = votesFor + this.against.length;
    const missing = this.electorate - answered - this.failures.length;
    if (votesFor >= majority) return 'won';
    if (votesFor + missing >= majority) return undefined;
    if (answered >= majority) return 'refused';
    return answered + missing < majority ? 'unanswered' : undefined;
  }

  voteFor(): void {
    this.votesFor += 1;
    this.look();
  }

  voteAgainst(node: QuorumNode): void {
    this.against.push(node);
    this.look();
  }

  noVote(node: QuorumNode, error: Error): void {
    this.failures.push({ node, error });
    this.look();
  }

  private look(): void {
    if (this.outcome !== undefined) this.decide();
  }
}

export function majorityOf(electorate: number): number {
  return Math.floor(electorate / 2) + 1;
}

/** Who gave no vote and why, for messages. */
export function describeFailures(failures: readonly NodeFailure[]): string {
  return failures.map(({ node, error }) => `${node.address} (${error.message})`).join(', ');
}
