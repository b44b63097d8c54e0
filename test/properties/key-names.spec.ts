import fc from 'fast-check';
import { LockConfigurationError, LockKeyError } from 'nestjs-distributed-lock';
import {
  checkName,
  escapeSegment,
  LONGEST_NAME,
  resourceOf,
  unescapeSegment,
} from '../../libs/lock/src/locking/lock-name';
import { compileKeyTemplate, type KeyTemplate } from '../../libs/lock/src/method/key-template';
import { lockKeys } from '../../libs/lock/src/strategies/redis/lock-keys';
import { hostileText } from './hostile-text';

/** What a placeholder takes. */
const value = fc.oneof(
  hostileText,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.bigInt(),
  fc.boolean(),
);

/** A part of a template that stands for itself. */
const literal = fc.stringMatching(/^[a-z][a-z0-9_ .%-]{0,5}$/);

/** A template with so many placeholders, each in a segment of its own, and literals around them. */
const template = fc
  .array(fc.record({ before: fc.option(literal), after: fc.option(literal), plain: fc.option(literal) }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((segments) =>
    segments
      .flatMap(({ before, after, plain }, index) => [
        ...(plain === null ? [] : [plain]),
        `${before ?? ''}<${index}>${after ?? ''}`,
      ])
      .join(':'),
  );

const templateAndValues = template.chain((source) => {
  const count = source.split('<').length - 1;
  const values = fc.array(value, { minLength: count, maxLength: count });
  return fc.record({ source: fc.constant(source), one: values, other: values });
});

describe('keys', () => {
  it('give two different inputs two names', () => {
    fc.assert(
      fc.property(templateAndValues, ({ source, one, other }) => {
        fc.pre(one.map(String).join('\0') !== other.map(String).join('\0'));
        const compiled = compile(source);
        expect(compiled.resolve({}, one)).not.toBe(compiled.resolve({}, other));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['<0><1>', 'stock:<0>-<1>', '<0>:<1>x<2>'])(
    'are refused when the class is defined where two inputs would give one name: %s',
    (source) => {
      expect(() => compile(source)).toThrow(LockConfigurationError);
      expect(() => compile(source)).toThrow(/two placeholders in one segment/);
    },
  );

  it('keep what a caller types inside of its segment', () => {
    fc.assert(
      fc.property(templateAndValues, ({ source, one }) => {
        const compiled = compile(source);
        const name = compiled.resolve({}, one);
        expect(name.split(':')).toHaveLength(source.split(':').length);
        expect(name).not.toMatch(/[<>{}]/);
        if (compiled.resource !== undefined) expect(resourceOf(name)).toBe(compiled.resource);
        if (!/[\p{Cs}]/u.test(name) && Buffer.byteLength(name) <= LONGEST_NAME) checkName(name);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([undefined, null, '', NaN, Infinity, {}, [], new Date(0), Symbol('a'), () => 'a'])(
    'are refused when a value is %p: everybody would share the lock',
    (hostile) => {
      expect(() => compile('stock:<0>').resolve({}, [hostile])).toThrow(LockKeyError);
    },
  );

  it('are refused where UTF-8 would make one name of two', () => {
    fc.assert(
      fc.property(hostileText, hostileText, (one, other) => {
        fc.pre(one !== other);
        const names = [one, other].map((text) => `stock:${escapeSegment(text)}`);
        const isRefused = names.some((name) => {
          try {
            checkName(name);
            return false;
          } catch {
            return true;
          }
        });
        const [first = '', second = ''] = names.map((name) => Buffer.from(name).toString('hex'));
        expect(isRefused || first !== second).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('give back what was escaped', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        expect(unescapeSegment(escapeSegment(text))).toBe(text);
        expect(escapeSegment(text)).not.toMatch(/[:<>{}\p{Cc}]/u);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a lock's keys in Redis", () => {
  const name = hostileText.filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text));
  const prefix = fc.constantFrom('', 'lock:', 'my shop:');

  it('are of one slot of a Cluster, and its hash tag is the whole name', () => {
    fc.assert(
      fc.property(prefix, name, (start, text) => {
        const { state, queue } = lockKeys(start, text);
        expect(hashTag(queue)).toBe(hashTag(state));
        expect(hashTag(state)).toBe(state.slice(start.length + 1, -1));
        expect(decodeURIComponent(hashTag(state).replace(/%(?!7B|7D|25)/g, '%25'))).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are not those of another name', () => {
    fc.assert(
      fc.property(prefix, name, name, (start, one, other) => {
        fc.pre(one !== other);
        const [first, second] = [lockKeys(start, one), lockKeys(start, other)];
        expect(new Set([first.state, first.queue, second.state, second.queue]).size).toBe(4);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** What the Cluster specification makes a key's slot of: between the first brace and the next closing one. */
function hashTag(key: string): string {
  const start = key.indexOf('{');
  const end = key.indexOf('}', start);
  return start < 0 || end <= start + 1 ? key : key.slice(start + 1, end);
}

function compile(source: string): KeyTemplate {
  return compileKeyTemplate(source, { label: 'Shop.sell', parameters: undefined });
}
