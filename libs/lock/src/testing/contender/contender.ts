import type { LockInspection, LockRequest, LockTraits } from '../../locking/lock-strategy.js';
import { promiseEqual } from '../contract-violation.js';
import type {
  ContenderAnswers,
  ContenderCommand,
  CountPlan,
  CountResult,
  Failure,
  Granted,
  LeaseState,
  RaceResult,
  Released,
  RepeatPlan,
} from './contender-command.js';

/** How a contender is spoken to: within this process, or in one of its own. */
export interface ContenderLine {
  /** @throws {ContenderError} the command failed over there. */
  ask<C extends ContenderCommand>(command: C): Promise<ContenderAnswers[C['do']]>;
}

/** What failed in a contender. */
export class ContenderError extends Error {
  readonly code: string | undefined;
  readonly key: string | undefined;
  readonly isAbortReason: boolean;

  constructor({ name, message, code, key, isAbortReason }: Failure) {
    super(message);
    this.name = name;
    this.code = code;
    this.key = key;
    this.isAbortReason = isAbortReason;
  }
}

/** One who wants locks. */
export class Contender {
  private attempts = 0;

  constructor(protected readonly line: ContenderLine) {}

  /** Begins to wait. Unless told otherwise it waits for long, for a lease that is long. */
  attempt(name: string, request: Partial<Omit<LockRequest, 'name' | 'signal'>> = {}): Attempt {
    return this.begin({ ...LONG, name, ...request }, false);
  }

  /** Begins to wait with a signal that was aborted before. */
  abortedAttempt(name: string): Attempt {
    return this.begin({ ...LONG, name }, true);
  }

  acquire(name: string, request: Partial<Omit<LockRequest, 'name' | 'signal'>> = {}): Promise<Grant> {
    return this.attempt(name, request).granted;
  }

  /** How an attempt that does not wait ends: 'granted', and then it is given back at once, or the code of its error. */
  async probe(name: string): Promise<string> {
    const attempt = this.attempt(name, { waitTime: 0 });
    const outcome = await attempt.outcome();
    if (outcome === 'granted') await (await attempt.granted).release();
    return outcome;
  }

  /** Undefined where the strategy can't look. */
  inspect(name: string): Promise<LockInspection | undefined> {
    return this.line.ask({ do: 'inspect', name });
  }

  /** Undefined where the strategy can't do so. */
  forceRelease(name: string): Promise<boolean | undefined> {
    return this.line.ask({ do: 'forceRelease', name });
  }

  repeat(plan: RepeatPlan): Promise<void> {
    return this.line.ask({ do: 'repeat', plan });
  }

  count(plan: CountPlan): Promise<CountResult> {
    return this.line.ask({ do: 'count', plan });
  }

  /** Takes and gives back a lock again and again, with an extension under way at each release. */
  race(plan: RepeatPlan): Promise<RaceResult> {
    return this.line.ask({ do: 'race', plan });
  }

  traits(): Promise<LockTraits> {
    return this.line.ask({ do: 'traits' });
  }

  /** Gives up all waiting and gives back all that is held. */
  letGo(): Promise<void> {
    return this.line.ask({ do: 'letGo' });
  }

  /** Leaves the contest: its strategy is closed. */
  async close(): Promise<void> {
    const left = await this.line.ask({ do: 'close' });
    promiseEqual('a closed strategy leaves no listener at its process', left, []);
  }

  private begin(request: Omit<LockRequest, 'signal'>, alreadyAborted: boolean): Attempt {
    this.attempts += 1;
    return new Attempt(this, this.line, this.attempts, request, alreadyAborted);
  }
}

const LONG = { waitTime: 60_000, ttl: 20_000, holdAtLeast: 0 };

/** One wish for one lock. */
export class Attempt {
  /** Rejects with a {@link ContenderError}. */
  readonly granted: Promise<Grant>;
  settled = false;

  constructor(
    readonly contender: Contender,
    private readonly line: ContenderLine,
    private readonly id: number,
    request: Omit<LockRequest, 'signal'>,
    alreadyAborted: boolean,
  ) {
    this.granted = line
      .ask({ do: 'acquire', attempt: id, request, alreadyAborted })
      .finally(() => (this.settled = true))
      .then((granted) => new Grant(contender, line, id, granted));
    // Who is killed while it waits fails, and nobody may be listening.
    this.granted.catch(() => undefined);
  }

  /** 'granted', or the code of the error; 'ABORTED' for the very reason of the abort. */
  async outcome(): Promise<string> {
    return this.granted.then(
      () => 'granted',
      (error: ContenderError) =>
        error.isAbortReason ? 'ABORTED' : (error.code ?? `${error.name}: ${error.message}`),
    );
  }

  abort(): Promise<void> {
    return this.line.ask({ do: 'abort', attempt: this.id });
  }

  /** How many listeners there are at the signal that ends the wait. */
  listeners(): Promise<number> {
    return this.line.ask({ do: 'listeners', attempt: this.id });
  }
}

/** One lock that a contender got. */
export class Grant {
  constructor(
    readonly contender: Contender,
    private readonly line: ContenderLine,
    private readonly id: number,
    private readonly granted: Granted,
  ) {}

  /** When, by the machine's clock. */
  get at(): number {
    return this.granted.at;
  }

  get token(): number | undefined {
    return this.granted.token;
  }

  release(): Promise<Released> {
    return this.line.ask({ do: 'release', attempt: this.id });
  }

  extend(duration: number): Promise<void> {
    return this.line.ask({ do: 'extend', attempt: this.id, duration });
  }

  state(): Promise<LeaseState> {
    return this.line.ask({ do: 'state', attempt: this.id });
  }
}
