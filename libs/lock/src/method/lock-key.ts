import { LockConfigurationError, LockKeyError } from '../locking/lock-error.js';
import { compileKeyTemplate, type TemplateOwner } from './key-template.js';
import type { LockKey, LockKeyFunction } from './lock-decorator-types.js';

/** The key of one method, ready for its calls. */
export interface MethodKey {
  /** The templates as written; undefined for a function. */
  readonly template: string | undefined;
  /** The first segments that are the same at every call. */
  readonly resources: readonly string[];
  /** @throws {LockKeyError} the arguments make no key. */
  resolve(self: object, args: readonly unknown[]): readonly string[];
}

/** @throws {LockConfigurationError} the key is none, or a template does not fit the method. */
export function compileKey(key: LockKey, owner: TemplateOwner): MethodKey {
  if (typeof key === 'function') return keyOfFunction(key, owner);
  const sources: readonly unknown[] = typeof key === 'string' ? [key] : Array.isArray(key) ? key : [];
  if (sources.length === 0) throw noKey(key, owner);
  const templates = sources.map((source) => {
    if (typeof source !== 'string' || source === '') throw noKey(source, owner);
    return compileKeyTemplate(source, owner);
  });

  const [only, ...others] = templates;
  return {
    template: templates.map(({ source }) => source).join(', '),
    resources: templates.map(({ resource }) => resource).filter((resource) => resource !== undefined),
    resolve:
      only !== undefined && others.length === 0
        ? (self, args) => [only.resolve(self, args)]
        : (self, args) => templates.map((template) => template.resolve(self, args)),
  };
}

function noKey(key: unknown, { label }: TemplateOwner): LockConfigurationError {
  const got = key === '' ? 'an empty string' : Array.isArray(key) ? 'an empty list' : String(key);
  return new LockConfigurationError(
    `The key of ${label} is ${got}. Say what is locked: 'stock:<id>', a list of such templates, or a function of the arguments.`,
  );
}

function keyOfFunction(key: LockKeyFunction, { label }: TemplateOwner): MethodKey {
  const call = key as (...args: unknown[]) => unknown;
  return {
    template: undefined,
    resources: [],
    resolve(_self, args) {
      const result = call(...args);
      const names: readonly unknown[] = Array.isArray(result) ? result : [result];
      if (names.length === 0)
        throw new LockKeyError(
          `The key function of ${label} returned an empty list, so nothing would be locked.`,
        );
      return names.map((name) => checkedName(name, label));
    },
  };
}

/** What a forgotten value becomes inside a template literal: all callers without it would share one lock. */
const FORGOTTEN = new Set(['', 'undefined', 'null', 'NaN', '[object Object]', '[object Promise]']);

function checkedName(name: unknown, label: string): string {
  if (typeof name !== 'string') {
    throw new LockKeyError(
      `The key function of ${label} returned ${typeof name === 'object' && name !== null && 'then' in name ? 'a promise' : typeof name}, ` +
        'not a string. It must return a key, or a list of keys, at once.',
    );
  }
  const forgotten = name.split(':').find((segment) => FORGOTTEN.has(segment));
  if (forgotten !== undefined) {
    throw new LockKeyError(
      `The key function of ${label} returned '${name}', where a segment is ${forgotten === '' ? 'empty' : forgotten}: ` +
        'everybody would share that lock. Pass a value, or throw where there is none.',
      { key: name },
    );
  }
  return name;
}
