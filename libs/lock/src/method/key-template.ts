import { LockConfigurationError, LockKeyError } from '../locking/lock-error.js';
import { checkName, escapeSegment } from '../locking/lock-name.js';
import type { NamedParameter } from './parameter-names.js';

/** A template that is ready to be filled in, for one method. */
export interface KeyTemplate {
  /** As written, for example `stock:<id>`: says what is locked without saying whose. */
  readonly source: string;
  /** The first segment where it is the same at every call. */
  readonly resource: string | undefined;
  /** @throws {LockKeyError} a placeholder has no value that can stand in a key. */
  resolve(self: object, args: readonly unknown[]): string;
}

/** The method that a template belongs to. */
export interface TemplateOwner {
  /** For example `StockService.decrease`. */
  readonly label: string;
  /**
   * Undefined where the source can't be read. 'properties' where there is one argument and placeholders name its
   * properties: a request.
   */
  readonly parameters: readonly NamedParameter[] | 'properties' | undefined;
}

/** A placeholder's value, by way of its path: from the instance, or from an argument. */
interface Placeholder {
  readonly text: string;
  readonly from: 'this' | number;
  readonly path: readonly string[];
}

const PLACEHOLDER = /<([^<>]*)>/g;
const SEGMENT_OF_PATH = /^(?:[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*|\d+)$/u;

/** Names of headers have hyphens. */
const SEGMENT_IN_REQUEST = /^[\p{ID_Start}$_\d][\p{ID_Continue}$-]*$/u;

/**
 * Reads a template such as `stock:<id>` and compiles it for one method.
 *
 * - `<id>` is the parameter of that name, also one that is destructured; `<order.sku>` a property of it;
 * - `<0>` is the first argument, `<0.sku>` a property of it;
 * - `<this.tenant>` is a property of the instance.
 *
 * Values are escaped, so that a caller can't reach another resource's lock by what it types.
 *
 * @throws {LockConfigurationError} the template is malformed, or names no parameter of the method.
 */
export function compileKeyTemplate(source: string, owner: TemplateOwner): KeyTemplate {
  const literals: string[] = [];
  const placeholders: Placeholder[] = [];
  let end = 0;
  for (const match of source.matchAll(PLACEHOLDER)) {
    literals.push(source.slice(end, match.index));
    placeholders.push(readPlaceholder(match[1] ?? '', source, owner));
    end = match.index + match[0].length;
  }
  literals.push(source.slice(end));
  checkLiterals(literals, source, owner);

  const [prefix = '', ...suffixes] = literals;
  return {
    source,
    resource: placeholders.length === 0 || prefix.includes(':') ? prefix.split(':', 1)[0] : undefined,
    resolve(self, args) {
      let name = prefix;
      for (const [position, placeholder] of placeholders.entries()) {
        name += valueOf(placeholder, self, args, source, owner) + suffixes[position];
      }
      return name;
    },
  };
}

function checkLiterals(literals: readonly string[], source: string, owner: TemplateOwner): void {
  const text = literals.join('');
  if (/[<>]/.test(text)) {
    throw malformed(source, owner, 'has a "<" or ">" without its partner', 'Write a placeholder as <id>.');
  }
  if (/[{}]/.test(text)) {
    // Else 'stock:{id}' would be one lock for everybody.
    throw malformed(
      source,
      owner,
      'has braces, which are no placeholders',
      'Write <id>, or use a function for such a key.',
    );
  }
  if (literals.slice(1, -1).some((between) => !between.includes(':'))) {
    // '<a>-<b>' would be the same for '1-2' and '3' as for '1' and '2-3'.
    throw malformed(
      source,
      owner,
      'has two placeholders in one segment, so that different values could make the same key',
      "Put a ':' between them, as in 'stock:<warehouse>:<id>'.",
    );
  }
  // A placeholder is never empty, so any character stands for it here.
  if (literals.join('0').split(':').includes('')) {
    throw malformed(source, owner, 'has an empty segment', "Write segments as in 'stock:<id>'.");
  }
  try {
    checkName(literals.join('0'));
  } catch (cause) {
    throw malformed(source, owner, 'can never be a key', cause instanceof Error ? cause.message : '');
  }
}

function readPlaceholder(text: string, source: string, owner: TemplateOwner): Placeholder {
  if (owner.parameters === 'properties') return readProperty(text, source, owner);
  const [first = '', ...path] = text.split('.');
  if (![first, ...path].every((part) => SEGMENT_OF_PATH.test(part))) {
    throw malformed(
      source,
      owner,
      `has the placeholder <${text}>, which is neither a name nor a path`,
      'Placeholders are <id>, <order.sku>, <0> or <this.tenant>; use a function for anything else.',
    );
  }
  if (first === 'this') {
    if (path.length > 0) return { text, from: 'this', path };
    throw malformed(source, owner, 'has <this>, which is an object', 'Name a property of it: <this.tenant>.');
  }
  if (/^\d+$/.test(first)) return { text, from: Number(first), path };

  const parameter = owner.parameters?.findLast(({ name }) => name === first);
  if (parameter === undefined) throw unknownParameter(first, source, owner, owner.parameters);
  if (!parameter.rest) return { text, from: parameter.index, path: [...parameter.path, ...path] };

  const [position = '', ...rest] = path;
  if (/^\d+$/.test(position)) return { text, from: parameter.index + Number(position), path: rest };
  throw malformed(
    source,
    owner,
    `has <${text}>, but "${first}" is a list of arguments`,
    `Name one of them, as <${first}.0>, or lock them all with a function that returns a list of keys.`,
  );
}

function readProperty(text: string, source: string, owner: TemplateOwner): Placeholder {
  const path = text.split('.');
  if (path.every((part) => SEGMENT_IN_REQUEST.test(part)) && !/^(?:\d|this$)/.test(path[0] ?? '')) {
    return { text, from: 0, path };
  }
  throw malformed(
    source,
    owner,
    `has the placeholder <${text}>, which is no property of a request`,
    'Placeholders are properties of the request: <user.id>, <params.id> or <headers.x-tenant>; use a function for anything else.',
  );
}

function unknownParameter(
  name: string,
  source: string,
  owner: TemplateOwner,
  parameters: readonly NamedParameter[] | undefined,
): LockConfigurationError {
  if (parameters === undefined) {
    return malformed(
      source,
      owner,
      `names the parameter <${name}>, but the method's source can't be read`,
      'Name the argument by its position, as <0>, or use a function.',
    );
  }
  const names = parameters.map((parameter) => parameter.name);
  return malformed(
    source,
    owner,
    `names the parameter <${name}>, which the method does not have`,
    (names.length === 0 ? 'It has no parameters. ' : `It has: ${names.join(', ')}. `) +
      'If the code is minified or compiled to old JavaScript, names are lost: name the argument by its position, as <0>.',
  );
}

function malformed(
  source: string,
  { label }: TemplateOwner,
  problem: string,
  step: string,
): LockConfigurationError {
  return new LockConfigurationError(`The key '${source}' of ${label} ${problem}. ${step}`);
}

function valueOf(
  placeholder: Placeholder,
  self: object,
  args: readonly unknown[],
  source: string,
  owner: TemplateOwner,
): string {
  let value: unknown = placeholder.from === 'this' ? self : args[placeholder.from];
  for (const property of placeholder.path) {
    if (value === null || value === undefined) break;
    value = (value as Record<string, unknown>)[property];
  }
  switch (typeof value) {
    case 'string':
      if (value !== '') return escapeSegment(value);
      break;
    case 'number':
      if (Number.isFinite(value)) return String(value);
      break;
    case 'bigint':
    case 'boolean':
      return String(value);
  }
  throw new LockKeyError(
    `<${placeholder.text}> in the key '${source}' of ${owner.label} is ${describe(value)}, and everybody would share that lock. ` +
      nextStep(value, owner),
  );
}

function describe(value: unknown): string {
  if (value === '') return 'an empty string';
  if (value === null || value === undefined || typeof value === 'number') return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  const type = (Object.getPrototypeOf(value) as object | null)?.constructor;
  return type === undefined || type === Object ? 'an object' : `an object (${type.name})`;
}

function nextStep(value: unknown, { parameters }: TemplateOwner): string {
  if (value === undefined && parameters === 'properties') {
    return 'Let a guard or a middleware set it, or refuse requests without it: the key is made after the guards and before the pipes.';
  }
  if (value === undefined) {
    return 'Pass a value; a default value in the parameter list is not seen here, so give it before the call or use a function as the key.';
  }
  if (value instanceof Date) {
    return 'Say how exactly it counts with a function: (day: Date) => `report:${day.toISOString().slice(0, 10)}`.';
  }
  if (typeof value === 'object' && value !== null)
    return 'Name a property of it, as <order.id>, or use a function as the key.';
  return 'A key needs a string that is not empty, a finite number, a bigint or a boolean.';
}
