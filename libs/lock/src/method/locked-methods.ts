import type { LockOptions } from '../locking/lock-call-options.js';

/** What is known of a locked method before any call: the start-up checks read it. */
export interface LockedMethod {
  /** For example `StockService.decrease`. */
  readonly label: string;
  readonly propertyKey: string | symbol;
  /** The first segments of its keys, as far as they are the same at every call. */
  readonly resources: readonly string[];
  readonly options: Omit<LockOptions, 'whenBusy'>;
}

/** On the class itself, not in a module's variable: the package may be loaded twice, as CommonJS and as ESM. */
const LOCKED_METHODS = Symbol.for('nestjs-distributed-lock:locked-methods');

/** Records a locked method on the class that declares it. */
export function addLockedMethod(owner: object, method: LockedMethod): void {
  Reflect.defineMetadata(LOCKED_METHODS, [...lockedMethodsOf(owner), method], owner);
}

/** The locked methods that a class itself declares, without those of its parents. */
export function lockedMethodsOf(owner: object): readonly LockedMethod[] {
  return (Reflect.getOwnMetadata(LOCKED_METHODS, owner) as readonly LockedMethod[] | undefined) ?? [];
}
