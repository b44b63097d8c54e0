import { getEventListeners } from 'node:events';
import type { LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';
import { contextOf, prepare, type StrategyRecipe, type StrategySetup } from '../strategy-under-test.js';
import { countTogether } from './counting.js';
import type {
  AcquireCommand,
  ContenderAnswers,
  ContenderCommand,
  Failure,
  Granted,
  LeaseState,
  RaceResult,
  Released,
  RepeatPlan,
} from './contender-command.js';

/** Who holds and waits on behalf of a contender, in the contender's own process. */
export class ContenderHost {
  private readonly attempts = new Map<number, AttemptRecord>();

  /** Makes the strategy as an application does, and connects it. */
  static async open(recipe: StrategyRecipe): Promise<ContenderHost> {
    const setup = await prepare(recipe);
    const strategy = setup.factory(contextOf(setup, 'contract'));
    await strategy.connect?.();
    return new ContenderHost(strategy, setup);
  }

  private constructor(
    private readonly strategy: LockStrategy,
    private readonly setup: StrategySetup,
  ) {}

  /** One contender more in the same process, with the same strategy: for strategies that know one process only. */
  twin(): ContenderHost {
    return new ContenderHost(this.strategy, this.setup);
  }

  answer(command: ContenderCommand): Promise<ContenderAnswers[ContenderCommand['do']]> {
    switch (command.do) {
      case 'acquire':
        return this.acquire(command);
      case 'abort':
        this.record(command.attempt).abort.abort(new AbortedByContract());
        return Promise.resolve(undefined);
      case 'release':
        return this.release(command.attempt);
      case 'extend':
        return this.lease(command.attempt).then((lease) =>
          lease.extend(command.duration),
        ) as Promise<undefined>;
      case 'state':
        return this.lease(command.attempt).then(stateOf);
      case 'inspect':
        return this.strategy.inspect?.(command.name) ?? Promise.resolve(undefined);
      case 'forceRelease':
        return this.strategy.forceRelease?.(command.name) ?? Promise.resolve(undefined);
      case 'repeat':
        return this.repeat(command.plan);
      case 'count':
        return countTogether(this.strategy, command.plan);
      case 'race':
        return this.race(command.plan);
      case 'listeners':
        return Promise.resolve(getEventListeners(this.record(command.attempt).abort.signal, 'abort').length);
      case 'traits':
        return Promise.resolve(this.strategy.traits);
      case 'letGo':
        return this.letGo();
      case 'close':
        return this.close();
    }
  }

  private async acquire({ attempt, request, alreadyAborted }: AcquireCommand): Promise<Granted> {
    const abort = new AbortController();
    if (alreadyAborted) abort.abort(new AbortedByContract());
    const lease = Promise.resolve().then(() => this.strategy.acquire({ ...request, signal: abort.signal }));
    this.attempts.set(attempt, { abort, lease });
    const { token, name } = await lease;
    return { at: Date.now(), token, name };
  }

  private async release(attempt: number): Promise<Released> {
    const lease = await this.lease(attempt);
    const at = Date.now();
    await lease.release();
    return { at };
  }

  private async repeat({ name, times, ttl }: RepeatPlan): Promise<undefined> {
    for (let time = 0; time < times; time += 1) {
      const lease = await this.strategy.acquire({ name, ttl, waitTime: ttl, holdAtLeast: 0 });
      await lease.release();
    }
    return undefined;
  }

  /** Extends and releases each lease at once, and takes the lock anew when both have ended. */
  private async race({ name, times, ttl }: RepeatPlan): Promise<RaceResult> {
    const outcomes = new Set<string>();
    let losses = 0;
    for (let time = 0; time < times; time += 1) {
      const lease = await this.strategy.acquire({ name, ttl, waitTime: 4 * ttl, holdAtLeast: 0 });
      const extension = lease.extend(ttl).then(() => 'extended', codeOf);
      // Every other release begins when the extension is on its way already.
      if (time % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
      await lease.release();
      outcomes.add(await extension);
      if (lease.signal.aborted) losses += 1;
    }
    return { outcomes: [...outcomes], losses };
  }

  /** Gives up waiting and gives back what is held, so that nothing of one case reaches into the next. */
  private async letGo(): Promise<undefined> {
    const records = [...this.attempts.values()];
    this.attempts.clear();
    await Promise.all(
      records.map(async ({ abort, lease }) => {
        abort.abort(new AbortedByContract());
        await lease.then(
          (held) => held.release(),
          () => undefined,
        );
      }),
    );
    return undefined;
  }

  private async close(): Promise<readonly string[]> {
    await this.letGo();
    await this.strategy.drain?.();
    await this.strategy.close?.();
    await this.setup.dispose?.();
    return [];
  }

  private lease(attempt: number): Promise<StrategyLease> {
    return this.record(attempt).lease;
  }

  private record(attempt: number): AttemptRecord {
    const record = this.attempts.get(attempt);
    if (record === undefined) throw new Error(`The contender knows no attempt ${attempt}.`);
    return record;
  }
}

/** An error as data, for its way to another process. */
export function failureOf(error: unknown): Failure {
  const { name, message, code, key } = error as Partial<Record<'name' | 'message' | 'code' | 'key', unknown>>;
  return {
    name: String(name),
    message: String(message),
    code: typeof code === 'string' ? code : undefined,
    key: typeof key === 'string' ? key : undefined,
    isAbortReason: error instanceof AbortedByContract,
  };
}

function codeOf(error: unknown): string {
  const { code, name, message } = failureOf(error);
  return code ?? `${name}: ${message}`;
}

interface AttemptRecord {
  readonly abort: AbortController;
  readonly lease: Promise<StrategyLease>;
}

/** The reason of every abort: a strategy has to reject with this very object. */
class AbortedByContract extends Error {
  constructor() {
    super('The contract suite ended the wait.');
    this.name = 'AbortedByContract';
  }
}

function stateOf({ remaining, signal }: StrategyLease): LeaseState {
  const reason = signal.reason as { code?: string } | undefined;
  return { at: Date.now(), remaining, aborted: signal.aborted, reason: reason?.code };
}
