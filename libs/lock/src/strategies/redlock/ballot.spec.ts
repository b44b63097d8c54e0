import { Ballot, type BallotOutcome, majorityOf } from './ballot.js';
import type { QuorumNode } from './quorum-node.js';

type Vote = 'for' | 'against' | 'none';

describe('a ballot', () => {
  it.each([3, 5])('of %i nodes is decided as early as it can be, and never changes its mind', (size) => {
    for (const votes of allVotes(size)) {
      const ballot = new Ballot(size);
      let decided: BallotOutcome | undefined;
      votes.forEach((vote, index) => {
        cast(ballot, vote);
        const { outcome } = ballot;
        if (decided !== undefined) expect(outcome).toBe(decided);
        decided ??= outcome;
        expect(outcome).toBe(onlyPossible(votes.slice(0, index + 1), size));
      });
      expect(decided).toBe(complete(votes));
    }
  });

  it('tells those who wait for it when it is decided, not when all have voted', async () => {
    const ballot = new Ballot(5);
    cast(ballot, 'against');
    cast(ballot, 'none');
    cast(ballot, 'for');
    let isDecided = false;
    void ballot.decided.then(() => (isDecided = true));
    await new Promise(setImmediate);
    expect(isDecided).toBe(false);
    cast(ballot, 'against');
    await ballot.decided;
    expect(ballot.outcome).toBe('refused');
  });
});

/** What the votes come to once all are in: nodes that are away count for nobody. */
function complete(votes: readonly Vote[]): BallotOutcome {
  const count = (wanted: Vote): number => votes.filter((vote) => vote === wanted).length;
  if (count('for') >= majorityOf(votes.length)) return 'won';
  return votes.length - count('none') >= majorityOf(votes.length) ? 'refused' : 'unanswered';
}

/** The outcome, if it is the same whatever the missing votes are. */
function onlyPossible(votes: readonly Vote[], size: number): BallotOutcome | undefined {
  const outcomes = new Set(allVotes(size - votes.length).map((rest) => complete([...votes, ...rest])));
  return outcomes.size === 1 ? [...outcomes][0] : undefined;
}

function allVotes(size: number): Vote[][] {
  if (size === 0) return [[]];
  return allVotes(size - 1).flatMap((votes) =>
    (['for', 'against', 'none'] as const).map((vote) => [...votes, vote]),
  );
}

function cast(ballot: Ballot, vote: Vote): void {
  const node = {} as QuorumNode;
  if (vote === 'for') ballot.voteFor();
  else if (vote === 'against') ballot.voteAgainst(node);
  else ballot.noVote(node, new Error('away'));
}
