import { LockConfigurationError } from '../locking/lock-error.js';
import type { LockCall } from '../locking/lock-call.js';
import type { LockExecutor } from '../locking/lock-executor.js';
import { LOCK_DEFAULTS } from '../locking/lock-call-options.js';

/**
 * The token of an application's {@link LockHost}. A string that names the next step: Nest prints it where the module is
 * missing, and shows nothing of use for a Symbol.
 */
export const LOCK_HOST = 'LockHost (add LockModule.forRoot() to the imports of your AppModule)';

/** The longest that a call waits for a module that is still being made, whatever its `waitTime`. */
const LONGEST_START = 30_000;

/**
 * Where the locked methods of one application find their executor.
 *
 * It depends on nothing, so that it can be injected into anything: also into a service that the lock module's own
 * options are made from.
 */
export class LockHost {
  private executor: LockExecutor | undefined;
  private readonly waiting = new Set<() => void>();

  bind(executor: LockExecutor): void {
    this.executor = executor;
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  run<T>(call: LockCall, work: () => Promise<T>): Promise<T> {
    return this.executor === undefined ? this.runOnceBound(call, work) : this.executor.run(call, work);
  }

  private async runOnceBound<T>(call: LockCall, work: () => Promise<T>): Promise<T> {
    const limit = Math.min(call.options.waitTime ?? LOCK_DEFAULTS.waitTime, LONGEST_START);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, limit);
      this.waiting.add(wake);
    });
    if (this.executor !== undefined) return this.executor.run(call, work);
    throw new LockConfigurationError(
      `${call.label} was called while the application is starting, and the options of LockModule were not there after ${limit} ms. ` +
        'Do the options wait for this very call? Then make them without it, or call it from onModuleInit at the earliest.',
    );
  }
}
