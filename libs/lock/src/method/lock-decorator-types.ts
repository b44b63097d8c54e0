import type { LockOptions } from '../locking/lock-call-options.js';
import type { LockBusyError } from '../locking/lock-error.js';

/**
 * What is locked: a template such as `'stock:<id>'`, several of them, or a function of the method's arguments.
 *
 * What a function returns is taken as it is: escape what comes from outside with `escapeSegment(value)`.
 *
 * @publicApi
 */
export type LockKey = string | readonly string[] | LockKeyFunction;

/** Makes the key, or several, from the arguments of the call. */
export type LockKeyFunction = (...args: never[]) => string | readonly string[];

/** What to do when the lock is busy. A function is given the error and the method's arguments, and answers instead. */
export type WhenBusy = 'throw' | 'skip' | ((error: LockBusyError, ...args: never[]) => unknown);

/**
 * The options of a locked method.
 *
 * @publicApi
 */
export interface MethodLockOptions<Busy extends WhenBusy = WhenBusy> extends Omit<LockOptions, 'whenBusy'> {
  /**
   * What to do when the lock was not free within `waitTime`: 'throw' a `LockBusyError`; 'skip' the method and resolve to
   * undefined (`waitTime` is 0 then unless given, or a quick job would run twice); or a function that is given the error
   * and the method's arguments and answers instead.
   *
   * @defaultValue 'throw'
   */
  readonly whenBusy?: Busy;
}

/** A method decorator that fits only methods which can be locked in this way. */
export type LockDecorator<Key extends LockKey, Busy extends WhenBusy> = <Method extends AnyMethod>(
  target: object & { readonly prototype?: never },
  propertyKey: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> & Lockable<Method, Key, Busy>,
) => void;

type AnyMethod = (...args: never[]) => unknown;

/**
 * `unknown` for a method that can be locked, else a sentence that stands in the compiler's message. A conditional type
 * instead of a signature with a rest tuple, which gets optional parameters and wider functions wrong.
 */
type Lockable<Method extends AnyMethod, Key extends LockKey, Busy extends WhenBusy> = [
  ReturnType<Method>,
] extends [PromiseLike<unknown>]
  ? Key extends string | readonly string[]
    ? AnswersBusy<Method, Busy>
    : Key extends (...args: Parameters<Method>) => string | readonly string[]
      ? AnswersBusy<Method, Busy>
      : 'The parameters of the key function must take the arguments of the method'
  : 'A locked method must return a Promise';

/** The compiler infers the whole of {@link WhenBusy} where the option is not given. */
type AnswersBusy<Method extends AnyMethod, Busy extends WhenBusy> = WhenBusy extends Busy
  ? unknown
  : 'skip' extends Busy
    ? undefined extends Awaited<ReturnType<Method>>
      ? unknown
      : 'A method that is skipped resolves to undefined: its return type must say so, as in Promise<Stock | undefined>'
    : Busy extends 'throw' | BusyAnswer<Method>
      ? unknown
      : 'The function in whenBusy must take the error and the arguments of the method, and answer what the method answers';

type BusyAnswer<Method extends AnyMethod> = (
  error: LockBusyError,
  ...args: Parameters<Method>
) => Awaited<ReturnType<Method>> | PromiseLike<Awaited<ReturnType<Method>>>;
