import { randomBytes } from 'node:crypto';
import { LockConfigurationError } from '../locking/lock-error.js';
import type { LockInspection, LockTraits } from '../locking/lock-strategy.js';
import type { Attempt, Contender } from './contender/contender.js';
import type { ContractApplication } from './contract-application.js';
import { LocalContender } from './contender/local-contender.js';
import { ProcessContender } from './contender/process-contender.js';
import { eventually, pause, within } from './patience.js';
import { SCALE } from './scale.js';
import type { StrategyUnderTest } from './strategy-under-test.js';

const DEFAULT_PATIENCE = 15_000;
const DEFAULT_LEASE = 1_200;

/** How long a waiter gets to arrive where nobody can see it arrive: the strategy has no `inspect`. */
const UNSEEN_ARRIVAL = 100;

/** Where contenders meet: in processes of their own for a `shared` strategy, else as tasks of this process. */
export class Arena {
  readonly traits: LockTraits;
  /** Milliseconds after which something that must happen is held not to happen. */
  readonly patience: number;
  /** The `ttl` of leases that are to lapse. */
  readonly lease: number;
  private readonly usedNames: string[] = [];
  private locals: LocalContender[] = [];
  private processes: ProcessContender[] = [];
  private opened: ContractApplication[] = [];

  constructor(readonly subject: StrategyUnderTest) {
    this.traits = subject.traits;
    this.patience = subject.patience ?? DEFAULT_PATIENCE;
    this.lease = subject.lease ?? DEFAULT_LEASE;
  }

  /** Every name that was given out. */
  get names(): readonly string[] {
    return this.usedNames;
  }

  /** A name that nobody else uses. */
  key(label: string): string {
    const name = `contract:${label}:${randomBytes(6).toString('hex')}`;
    this.usedNames.push(name);
    return name;
  }

  /** @internal A Nest application whose only strategy is the one under test: the same one for every case. */
  async application(): Promise<ContractApplication> {
    const [application] = await this.openApplications(1);
    if (application === undefined) throw new Error('An application was to be opened.');
    return application;
  }

  /** @internal Two applications that exclude each other; one, twice, for a strategy that knows no other. */
  async applications(): Promise<readonly [ContractApplication, ContractApplication]> {
    const [one, two] = await this.openApplications(this.traits.scope === 'shared' ? 2 : 1);
    if (one === undefined) throw new Error('An application was to be opened.');
    return [one, two ?? one];
  }

  /** @internal An application of its own, which whoever asks has to close. */
  async openApplication(): Promise<ContractApplication> {
    // Nest is loaded only here: the workers of the suite need none of it, and start the sooner.
    const { openApplication } = await import('./contract-application.js');
    return openApplication(this.subject.create);
  }

  async contenders<Count extends 1 | 2 | 3 | 4>(count: Count): Promise<Several<Contender, Count>> {
    if (this.traits.scope === 'shared') return this.processContenders(count);
    while (this.locals.length < count) {
      const [first] = this.locals;
      this.locals.push(first === undefined ? await LocalContender.open(this.subject.create) : first.twin());
    }
    return this.locals.slice(0, count) as unknown as Several<Contender, Count>;
  }

  /** Contenders that can be killed and frozen. */
  async processContenders<Count extends 1 | 2 | 3 | 4>(
    count: Count,
  ): Promise<Several<ProcessContender, Count>> {
    const { worker, name } = this.subject;
    if (worker === undefined) {
      throw new Error(
        `"${name}" has the scope 'shared', so it needs a worker: a file that calls runContractWorker.`,
      );
    }
    this.processes = this.processes.filter((contender) => contender.isAlive);
    const missing = Math.max(0, count - this.processes.length);
    const started = await Promise.allSettled(
      Array.from({ length: missing }, () => ProcessContender.start(worker, this.patience)),
    );
    // Those that did start are kept, to be ended with the rest, when another did not.
    for (const start of started) if (start.status === 'fulfilled') this.processes.push(start.value);
    for (const start of started) if (start.status === 'rejected') throw start.reason;
    return this.processes.slice(0, count) as unknown as Several<ProcessContender, Count>;
  }

  /**
   * Resolves when the last of the attempts waits, so that whoever comes now comes after it. Only a strategy with one
   * order for everybody is sure to know of the waiters of other contenders.
   */
  async untilLastWaits(name: string, attempts: readonly Attempt[]): Promise<void> {
    const contender = attempts.at(-1)?.contender;
    if (contender === undefined) return;
    await this.untilWaiting(
      contender,
      name,
      () =>
        attempts.filter(
          (attempt) =>
            !attempt.settled && (this.traits.order === 'strict' || attempt.contender === contender),
        ).length,
    );
  }

  /**
   * Resolves when the strategy knows of so many waiters.
   *
   * @param observer - who is asked
   * @param count - asked at each look, for waiters may give up meanwhile
   */
  async untilWaiting(observer: Observer, name: string, count: () => number): Promise<void> {
    const look = (): Promise<LockInspection | undefined> => observer.inspect(name).catch(withoutInspect);
    if ((await look()) === undefined) return pause(UNSEEN_ARRIVAL);
    await eventually(`${count()} wait for "${name.slice(0, 80)}"`, this.patience, async () => {
      return ((await look())?.waiters.length ?? 0) >= count();
    });
  }

  /** What the promise resolves to, if it does so before our patience ends. */
  soon<T>(what: string, pending: Promise<T>): Promise<T> {
    return within(what, this.patience, pending);
  }

  /** {@link soon} for much work at once. */
  inTheEnd<T>(what: string, pending: Promise<T>): Promise<T> {
    return within(what, 4 * SCALE * this.patience, pending);
  }

  /** After a case: nothing of it may reach into the next, whether it failed or not. */
  async clear(): Promise<void> {
    const living = [...this.locals, ...this.processes.filter((contender) => contender.isAlive)];
    await Promise.all(
      living.map((contender) => this.soon('the leases of a case are given back', contender.letGo())),
    );
  }

  /** Ends all contenders without asking them: for a strategy that is known to be broken. */
  async abandon(): Promise<void> {
    // Nor waited for: a broken strategy may never say that it is closed.
    void Promise.allSettled([...this.locals.slice(0, 1), ...this.opened].map((each) => each.close()));
    this.opened = [];
    await Promise.all(this.processes.map((contender) => contender.kill()));
    this.locals = [];
    this.processes = [];
  }

  /** Closes every strategy. Each process has to end by itself then. */
  async close(): Promise<void> {
    const [first] = this.locals;
    const closed = await Promise.allSettled([
      first?.close(),
      ...this.opened.map((application) => application.close()),
      ...this.processes.map((contender) => contender.close()),
    ]);
    this.locals = [];
    this.processes = [];
    this.opened = [];
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  private async openApplications(count: number): Promise<readonly ContractApplication[]> {
    while (this.opened.length < count) this.opened.push(await this.openApplication());
    return this.opened;
  }
}

/** Who can look at a lock: a contender, or the service of an application. */
interface Observer {
  inspect(name: string): Promise<LockInspection | undefined>;
}

/** How `LockService.inspect` says that the strategy can't look. */
function withoutInspect(error: unknown): undefined {
  if (!(error instanceof LockConfigurationError)) throw error;
}

/** So many of them that each has a name when it is taken apart. */
export type Several<T, Count extends 1 | 2 | 3 | 4> = [
  [T],
  [T, T],
  [T, T, T],
  [T, T, T, T],
][Predecessor<Count>];

type Predecessor<Count extends 1 | 2 | 3 | 4> = { 1: 0; 2: 1; 3: 2; 4: 3 }[Count];
