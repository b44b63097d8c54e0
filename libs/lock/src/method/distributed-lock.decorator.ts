import { checkLockOptions, type LockOptions } from '../locking/lock-call-options.js';
import { LockConfigurationError, type LockBusyError } from '../locking/lock-error.js';
import { copyFunctionMetadata } from './function-metadata.js';
import { hostOf, injectHost } from './host-property.js';
import type { LockDecorator, LockKey, MethodLockOptions, WhenBusy } from './lock-decorator-types.js';
import { compileKey } from './lock-key.js';
import { addLockedMethod } from './locked-methods.js';
import { parameterNames } from './parameter-names.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Lets one caller at a time into a method, for each key: on all servers, or in this process, as the strategy says.
 *
 * @example
 * ```ts
 * @DistributedLock('stock:<id>', { transaction: true })
 * async decrease(id: number, quantity: number): Promise<Stock> {}
 *
 * @DistributedLock((order: Order) => order.lines.map((line) => `stock:${line.id}`))
 * async reserve(order: Order): Promise<void> {}
 * ```
 *
 * @param key - a template: `<id>` is the parameter of that name, `<order.sku>` a property of it, `<0>` the first
 * argument, `<this.tenant>` a property of the instance. Or several templates, or a function of the arguments.
 * @param options - see {@link MethodLockOptions}.
 * @throws {LockConfigurationError} when the class is defined: the template names no parameter, an option is out of its
 * range, or the method can't be locked.
 *
 * It stands on methods, private ones included, of whatever Nest makes. Not on `#private` methods, arrow functions in
 * properties, generators and static methods: the compiler says so. (swc, which checks no types, leaves a decorator on a
 * `#private` method out without a word: let `tsc --noEmit` look at the code, too.)
 *
 * At a call the method rejects with `LockKeyError`, `LockBusyError`, `LockUnavailableError`, `LockLostError` or
 * `LockShutdownError`, unless an option says otherwise.
 *
 * @publicApi
 */
export function DistributedLock<const Key extends LockKey, Busy extends WhenBusy>(
  key: Key,
  options: MethodLockOptions<Busy> = {},
): LockDecorator<Key, Busy> {
  return (target: object, propertyKey: string | symbol, descriptor?: PropertyDescriptor) => {
    const label = labelOf(target, propertyKey);
    const method = lockableMethod(target, descriptor, label);
    checkLockOptions(options, label);
    const methodKey = compileKey(key, {
      label,
      get parameters() {
        return parameterNames(target, propertyKey, method);
      },
    });
    const optionsOf = callOptions(options);

    // Not async: on Node 20 every promise more costs a quarter of a microsecond once AsyncLocalStorage is in use.
    const locked: Method = function (this: unknown, ...args) {
      try {
        const self = this as object | undefined;
        const host = hostOf(self, label);
        const keys = methodKey.resolve(self as object, args);
        const call = { keys, label, template: methodKey.template, options: optionsOf(args) };
        return host.run(call, () => promised(method.apply(this, args), label));
      } catch (error) {
        const refusal = error as Error;
        return Promise.reject(refusal);
      }
    };
    copyFunctionMetadata(method, locked);
    injectHost(target);
    addLockedMethod(target.constructor, {
      label,
      propertyKey,
      resources: methodKey.resources,
      options: options,
    });
    (descriptor as PropertyDescriptor).value = locked;
  };
}

function labelOf(target: object, propertyKey: string | symbol): string {
  const owner = typeof target === 'function' ? target : target?.constructor;
  return `${owner?.name || '(a class without a name)'}.${String(propertyKey)}`;
}

/** The classes of `function*` and `async function*`, which have no name of their own. */
const GENERATORS = [function* () {}, async function* () {}].map(({ constructor }) => constructor);

function lockableMethod(target: object, descriptor: PropertyDescriptor | undefined, label: string): Method {
  if (typeof descriptor === 'undefined' && typeof target === 'function') {
    throw new LockConfigurationError(
      'A locked class was compiled with standard decorators, which Nest does not use. Set "experimentalDecorators": true in tsconfig.json.',
    );
  }
  const method: unknown = descriptor?.value;
  if (typeof method !== 'function') {
    throw new LockConfigurationError(
      `${label} can't be locked: it is no method. Turn the property or accessor into an async method.`,
    );
  }
  if (typeof target === 'function') {
    throw new LockConfigurationError(
      `${label} can't be locked: a static method belongs to no application. Make it a method of a provider, or use LockService.run.`,
    );
  }
  if (GENERATORS.some((kind) => method instanceof kind)) {
    throw new LockConfigurationError(
      `${label} can't be locked: a generator runs after the call has returned. Return a Promise, or use LockService.observe for a stream.`,
    );
  }
  return method as Method;
}

/** One object for all calls, unless `whenBusy` must be told the arguments. */
function callOptions({ whenBusy, ...others }: MethodLockOptions): (args: readonly unknown[]) => LockOptions {
  if (typeof whenBusy !== 'function') {
    const options = { ...others, whenBusy };
    return () => options;
  }
  const answer = whenBusy as (error: LockBusyError, ...args: unknown[]) => unknown;
  return (args) => ({ ...others, whenBusy: (error) => answer(error, ...args) });
}

function promised(result: unknown, label: string): Promise<unknown> {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function')
    return result as Promise<unknown>;
  throw new LockConfigurationError(
    `${label} returned no promise, so nobody can tell when its work is done. Make it async; for a stream use LockService.observe.`,
  );
}
