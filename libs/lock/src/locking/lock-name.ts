import { LockKeyError } from './lock-error.js';

/** The longest name of a lock, in bytes of UTF-8. */
export const LONGEST_NAME = 1_024;

const RESERVED = /[:%<>{}\p{Cc}]/gu;
const ESCAPE = /%([0-9A-F]{2})/g;
/** Control characters, and halves of a surrogate pair: UTF-8 has no form for those, so that two names would become one. */
const UNUSABLE = /[\p{Cc}\p{Cs}]/u;

/** Escapes a value, so that it can't reach beyond its own segment of a key: `a:b` becomes `a%3Ab`. */
export function escapeSegment(value: string): string {
  return value.replace(
    RESERVED,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** The value that {@link escapeSegment} was given. */
export function unescapeSegment(segment: string): string {
  return segment.replace(ESCAPE, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** The key's first segment, which says what kind of resource is locked: `stock` for `stock:42`. */
export function resourceOf(name: string): string {
  const end = name.indexOf(':');
  return end < 0 ? name : name.slice(0, end);
}

/**
 * Refuses what no strategy can lock.
 *
 * @throws {LockKeyError} the name is no string, empty, longer than 1 024 bytes, or holds control characters or lone surrogates.
 */
export function checkName(name: string): void {
  if (typeof name !== 'string' || name === '') {
    throw new LockKeyError(
      `A key must be a string that is not empty, but got ${name === '' ? "''" : `a value of type ${typeof name}`}. ` +
        "Name what is locked, for example 'stock:42'.",
    );
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME) {
    throw new LockKeyError(
      `The key "${name.slice(0, 60)}…" has ${bytes} bytes, and ${LONGEST_NAME} are the most. Lock by an id or a hash instead.`,
      { key: name },
    );
  }
  if (UNUSABLE.test(name)) {
    throw new LockKeyError(
      `The key ${JSON.stringify(name)} has control characters or a half of a surrogate pair. Escape the values that it is made of with escapeSegment(value).`,
      { key: name },
    );
  }
}
