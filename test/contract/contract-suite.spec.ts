import { Arena, CONTRACT_CASES, describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { FLAWS, type Flaw } from './reference/flaw';
import { referenceSubject } from './reference/reference-subject';
import { ReferenceStore } from './reference/reference-store';

/** Which case catches a flaw, and for what reason: it has to fail for the right one. */
interface Catch {
  readonly flaw: Flaw;
  readonly by: string;
  readonly because: RegExp;
}

const CAUGHT_AMONG_TASKS: readonly Catch[] = [
  { flaw: 'claims an order that it has not', by: 'has the traits', because: /no more and no less/ },
  { flaw: 'lets everybody in', by: 'loses no update', because: /nobody else is inside/ },
  { flaw: 'lets everybody in', by: 'is busy for a second', because: /second caller is told/ },
  {
    flaw: 'lets the holder in again',
    by: 'is busy for a second',
    because: /a second caller|the holder itself/,
  },
  { flaw: 'has one lock for all names', by: 'is busy for a second', because: /another key is free/ },
  { flaw: 'gives every holder the same token', by: 'loses no update', because: /tokens rise/ },
  { flaw: 'gives tokens without an order', by: 'loses no update', because: /tokens rise/ },
  { flaw: 'has no token', by: 'has a token', because: /what the traits say/ },
  { flaw: 'forgets every hundredth release', by: 'locks and unlocks', because: /all rounds end/ },
  {
    flaw: 'waits for ever',
    by: 'gives up after a wait time of 200 ms, and',
    because: /in vain: the wait ends/,
  },
  {
    flaw: 'waits for ever',
    by: 'gives up after a wait time of 200 ms in every',
    because: /in vain: the decorator/,
  },
  { flaw: 'gives up too early', by: 'gives up after a wait time of 200 ms, and', because: /at least 200 ms/ },
  {
    flaw: 'gives up too early',
    by: 'gives up after a wait time of 200 ms in every',
    because: /at least 200 ms/,
  },
  {
    flaw: 'says "unavailable" instead of "busy"',
    by: 'gives up after a wait time of 200 ms, and',
    because: /names the key/,
  },
  {
    flaw: 'does not name the key in its errors',
    by: 'gives up after a wait time of 200 ms, and',
    because: /names the key/,
  },
  {
    flaw: 'leaves its place in the queue behind when it gives up',
    by: 'gives up after a wait time of 200 ms, and',
    because: /free for the next/,
  },
  { flaw: 'waits although it should try once', by: 'tries once when', because: /at most 500 ms/ },
  { flaw: 'waits although it should try once', by: 'tries once in every form', because: /at most 500 ms/ },
  { flaw: 'does not hear an abort', by: 'stops waiting when its signal', because: /in vain: the wait ends/ },
  {
    flaw: 'does not hear an abort',
    by: 'stops waiting in every form',
    because: /run whose signal aborts stops waiting/,
  },
  {
    flaw: 'takes an abort for a time-out',
    by: 'stops waiting when its signal',
    because: /the abort ends the wait/,
  },
  {
    flaw: 'takes an abort for a time-out',
    by: 'stops waiting in every form',
    because: /rejects with the signal's reason/,
  },
  {
    flaw: 'leaves its place in the queue behind when it is aborted',
    by: 'stops waiting when its signal',
    because: /free for the next/,
  },
  {
    flaw: 'takes a lock although it was aborted before',
    by: 'does not even try',
    because: /the attempt fails/,
  },
  { flaw: 'serves the last first', by: 'grants 50 waiters', because: /who comes first/ },
  { flaw: 'lets everybody in', by: 'passes over a waiter', because: /past the waiters/ },
  { flaw: 'does not renew', by: 'lets nobody in while', because: /the lock is busy|still holds/ },
  { flaw: 'counts the wait into the lease', by: 'lets nobody in while', because: /does not count into it/ },
  {
    flaw: 'frees the lock of its holder when it gives up',
    by: 'gives up after a wait time of 200 ms, and',
    because: /the holder is unharmed/,
  },
  {
    flaw: 'never aborts its signal',
    by: 'can be taken away by force',
    because: /the signal of the old holder/,
  },
  {
    flaw: 'extends a lease for whoever asks',
    by: 'can be taken away by force',
    because: /the signal of the old/,
  },
  { flaw: 'extends what it has lost', by: 'can be taken away by force', because: /its extension fails/ },
  { flaw: 'fails on a late release', by: 'can be taken away by force', because: /somebody else’s/ },
  {
    flaw: 'says that it took a lock away when it did not',
    by: 'can be taken away by force',
    because: /nobody holds the lock/,
  },
  {
    flaw: 'takes back a lock from whoever holds it',
    by: 'can be released twice',
    because: /nobody else gets in/,
  },
  { flaw: 'fails on a second release', by: 'can be released twice', because: /released before/ },
  {
    flaw: 'aborts its signal when it releases',
    by: 'can be released twice',
    because: /a release is no loss/,
  },
  { flaw: 'ignores case in names', by: 'takes no two names', because: /CASE" is free/ },
  { flaw: 'ignores what comes after 255 characters', by: 'takes no two names', because: /2" is free/ },
  { flaw: 'ignores spaces at the end of names', by: 'takes no two names', because: /end " is free/ },
  {
    flaw: 'ignores how a letter is written in Unicode',
    by: 'takes no two names',
    because: /\u0301" is free/,
  },
  { flaw: 'fails on spaces in names', by: 'locks names of any', because: /a space/ },
  { flaw: 'fails on long names', by: 'locks names of any', because: /too long/ },
  {
    flaw: 'never gives a lock to the next',
    by: 'gives the lock to the next',
    because: /the next gets the lock/,
  },
  { flaw: 'forgets holdAtLeast', by: 'lets nobody in before holdAtLeast', because: /nobody gets in before/ },
  {
    flaw: 'aborts its signal when it releases',
    by: 'lets nobody in before holdAtLeast',
    because: /a release is no loss/,
  },
  { flaw: 'lets everybody in', by: 'runs a quick job once', because: /it runs once/ },
  {
    flaw: 'brings a lock back by a late extension',
    by: 'is not brought back by an extension',
    because: /in vain: all rounds end|free afterwards/,
  },
  {
    flaw: 'aborts its signal when it releases',
    by: 'is not brought back by an extension',
    because: /a release is no loss/,
  },
  { flaw: 'lets everybody in', by: 'lets calls enter again', because: /nobody else gets in/ },
  { flaw: 'lets everybody in', by: 'takes no call for one inside', because: /finds the lock busy/ },
  { flaw: 'lets the holder in again', by: 'lets calls in one at a time', because: /one at a time/ },
  { flaw: 'lets everybody in', by: 'takes several locks at once', because: /one of them is inside/ },
  {
    flaw: 'never gives a lock to the next',
    by: 'takes several locks at once',
    because: /all get both locks/,
  },
  {
    flaw: 'has one lock for all names',
    by: 'gives back what it got',
    because: /names the lock that is busy/,
  },
  { flaw: 'lets everybody in', by: 'keeps a lock that was taken', because: /kept until the commit/ },
  {
    flaw: 'lets those who wait go on waiting when it shuts down',
    by: 'sends those away',
    because: /in vain: the wait ends/,
  },
  {
    flaw: 'takes the lock from its holder when it shuts down',
    by: 'sends those away',
    because: /goes on holding/,
  },
  {
    flaw: 'goes on listening to the signal of its caller',
    by: 'keeps no listener',
    because: /nothing listens/,
  },
  { flaw: 'remembers every lock', by: 'leaves neither holder', because: /nothing is left/ },
];

const CAUGHT_AMONG_PROCESSES: readonly Catch[] = [
  { flaw: 'lets everybody in', by: 'loses no update', because: /nobody else is inside/ },
  { flaw: 'keeps the place of the dead', by: 'passes over a waiter', because: /is served or sent away/ },
  {
    flaw: 'hands on to a waiter while the lock is held, once somebody died',
    by: 'passes over a waiter',
    because: /while the holder holds|before the release/,
  },
  {
    flaw: 'never ends a lease',
    by: 'lets the next in when the lease of a frozen',
    because: /served or sent away/,
  },
  {
    flaw: 'ends leases too early',
    by: 'lets the next in when the lease of a frozen',
    because: /before the lease is over/,
  },
  {
    flaw: 'serves the last first',
    by: 'lets the next in when the lease of a frozen',
    because: /who comes first/,
  },
  {
    flaw: 'takes a lease that is over when it reads of it',
    by: 'gives no lock to a frozen waiter',
    because: /when the others have left/,
  },
  { flaw: 'never aborts its signal', by: 'tells a holder', because: /signal of the late holder/ },
  { flaw: 'takes back a lock from whoever holds it', by: 'tells a holder', because: /nobody else gets in/ },
  { flaw: 'extends what it has lost', by: 'tells a holder', because: /late extension fails/ },
  { flaw: 'fails on a late release', by: 'tells a holder', because: /somebody else’s/ },
  {
    flaw: 'never ends a lease',
    by: 'lets the next in after its holder was killed',
    because: /the next gets the lock/,
  },
  {
    flaw: 'gives tokens without an order',
    by: 'lets the next in after its holder was killed',
    because: /above the dead/,
  },
  {
    flaw: 'forgets holdAtLeast of a dead holder',
    by: 'lets the next in after its holder was killed',
    because: /kept for holdAtLeast/,
  },
];

/** What no strategy can break: the control without a lock, and what is checked before a strategy is asked. */
const KEPT_BY_OTHERS = ['protects counters that lose', 'refuses names above'];

/** Most flaws show only when our patience ends, and the reference is fast. */
const IMPATIENCE = { process: 1_500, shared: 2_500 };

describe.each(['process', 'shared'] as const)('the contract suite on a correct strategy', (scope) => {
  const store = new ReferenceStore();
  let port = 0;

  beforeAll(async () => {
    port = await store.open();
  });
  afterAll(() => store.close());

  describeLockStrategy(referenceSubject(scope, store, () => port));
});

describe('the contract suite', () => {
  const store = new ReferenceStore();
  let port = 0;
  let processes: Arena;

  beforeAll(async () => {
    port = await store.open();
    processes = arenaOf('shared');
  });

  afterEach(() => {
    store.flaw = undefined;
  });

  afterAll(async () => {
    await processes.abandon();
    await store.close();
  });

  it.each(CAUGHT_AMONG_TASKS)('rejects a strategy that $flaw: "$by …"', async (caught) => {
    const tasks = arenaOf('process');
    await expectRejection(tasks, caught);
    await tasks.abandon();
  });

  it.each(CAUGHT_AMONG_PROCESSES)(
    'rejects, among processes, a strategy that $flaw: "$by …"',
    async (caught) => {
      await expectRejection(processes, caught);
      // What the flaw has left undone is no concern of the next case.
      await processes.clear().catch(() => processes.abandon());
    },
  );

  it('rejects a strategy that leaves its connection open', async () => {
    await processes.processContenders(1);
    store.flaw = 'leaves its connection open';
    await expect(processes.close()).rejects.toThrow(/ends by itself/);
  });

  it('rejects a strategy that goes on listening to its process', async () => {
    store.flaw = 'goes on listening to its process';
    await processes.processContenders(1);
    await expect(processes.close()).rejects.toThrow(/no listener at its process[^]*SIGTERM/);
  });

  it('is tried with a strategy that breaks it, for each of its cases and for each flaw', () => {
    const caught = [...CAUGHT_AMONG_TASKS, ...CAUGHT_AMONG_PROCESSES];
    const tried = [...KEPT_BY_OTHERS, ...caught.map(({ by }) => by)];
    const titles = CONTRACT_CASES.map(({ title }) => title);
    expect(titles.filter((title) => !tried.some((start) => title.startsWith(start)))).toEqual([]);
    const untried = FLAWS.filter((flaw) => !caught.some((one) => one.flaw === flaw));
    expect(untried).toEqual(['goes on listening to its process', 'leaves its connection open']);
  });

  function arenaOf(scope: 'process' | 'shared'): Arena {
    return new Arena({ ...referenceSubject(scope, store, () => port), patience: IMPATIENCE[scope] });
  }

  async function expectRejection(arena: Arena, { flaw, by, because }: Catch): Promise<void> {
    const [contractCase] = CONTRACT_CASES.filter(({ title }) => title.startsWith(by));
    store.flaw = flaw;
    await expect(contractCase?.run(arena)).rejects.toThrow(because);
    store.flaw = undefined;
  }
});
