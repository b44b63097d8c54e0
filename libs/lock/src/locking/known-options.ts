import { LockConfigurationError } from './lock-error.js';

/** The name of every option of an interface: the compiler says when one is missing or too many. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Refuses options that nobody would read: who misspells one must not believe that it is set.
 *
 * @param where - what the options were given to, for the message: `redisLock`.
 * @param elsewhere - where options belong that people look for here.
 * @throws {LockConfigurationError} the options are no object, or one of them is unknown.
 */
export function checkKnownOptions<Options extends object>(
  where: string,
  options: Options,
  names: OptionNames<Options>,
  elsewhere = 'waitTime, ttl and their like belong to the method, or into defaults of LockModule.forRoot',
): void {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new LockConfigurationError(`${where}: the options must be an object, got ${String(given)}.`);
  }
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(names, name));
  if (unknown === undefined) return;
  throw new LockConfigurationError(
    `${where}: there is no option "${unknown}". There are ${Object.keys(names).join(', ')}${elsewhere && `; ${elsewhere}`}.`,
  );
}
