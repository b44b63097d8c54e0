import { Inject } from '@nestjs/common';
import { LockConfigurationError } from '../locking/lock-error.js';
import { LOCK_HOST, type LockHost } from './lock-host.js';

/** Where an instance keeps its host. A symbol can't collide with a member; its text is part of Nest's message. */
const HOST = Symbol.for('nestjs-distributed-lock: the LockHost of LockModule.forRoot()');

/** What runs the locked methods of an instance: the application's host, or what tests put in its place. */
export type MethodRunner = Pick<LockHost, 'run'>;

/** Lets Nest inject the host of its application into every instance of the class. */
export function injectHost(prototype: object): void {
  Inject(LOCK_HOST)(prototype, HOST);
  // Nest assigns; the setter keeps the host out of what inspects, spreads or compares the instance.
  Object.defineProperty(prototype, HOST, {
    configurable: true,
    set(this: object, runner: MethodRunner) {
      setHost(this, runner);
    },
  });
}

/** Sets the host where Nest injects none. */
export function setHost(instance: object, runner: MethodRunner): void {
  Object.defineProperty(instance, HOST, { value: runner, configurable: true, writable: true });
}

/** Whether the instance has its host. */
export function hasHost(instance: object): boolean {
  return (instance as { readonly [HOST]?: MethodRunner })[HOST] !== undefined;
}

/** @throws {LockConfigurationError} Nest did not make the instance. */
export function hostOf(instance: object | undefined, label: string): MethodRunner {
  const runner = (instance as { readonly [HOST]?: MethodRunner } | undefined)?.[HOST];
  if (runner !== undefined) return runner;
  throw new LockConfigurationError(
    instance === undefined
      ? `${label} was called without its object, so its lock can't be found. Call it on the instance, or bind it first.`
      : `${label} is locked, but its object was not made by Nest (or calls it from its constructor), so there is no lock to take. ` +
          "Import LockModule.forRoot() and inject the class as a provider; in a unit test, wrap the object: withoutLocks(new MyService()) from 'nestjs-distributed-lock/testing'.",
  );
}
