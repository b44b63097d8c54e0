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
import { alikeTexts, hostileText } from './hostile-text';

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
  return fc.record({ source: fc.constant(source), values });
});

/** What is no text, and what somebody might take for the same. A number and its digits are the same: `<id>` of a URL. */
const ALIKE_VALUES: readonly (readonly [unknown, unknown])[] = [
  [2n ** 64n, 2n ** 64n + 1n],
  [2 ** 53, 2n ** 53n + 1n],
  [0.3, 0.1 + 0.2],
  [1, 1.5],
  [1, -1],
  [1e21, '1e21'],
  [true, false],
  [true, 1],
  [false, 'False'],
];

/** Values that differ in one. */
function nearly(values: readonly unknown[], index: number): fc.Arbitrary<readonly unknown[][]> {
  return fc
    .oneof({ weight: 9, arbitrary: alikeTexts }, { weight: 1, arbitrary: fc.constantFrom(...ALIKE_VALUES) })
    .map((alike) => alike.map((replaced) => values.with(index, replaced)));
}

/** Values that would read the same if nobody escaped them: what ends a segment moves from one of them to the next. */
function moved(
  values: readonly unknown[],
  index: number,
  between: string,
): fc.Arbitrary<readonly unknown[][]> {
  return fc
    .tuple(hostileText, hostileText, hostileText)
    .map(([start, middle, end]) => [
      values.with(index, start).with(index + 1, `${middle}${between}${end}`),
      values.with(index, `${start}${between}${middle}`).with(index + 1, end),
    ]);
}

/** A template, and two inputs that are nearly the same. */
const alikeInputs = templateAndValues.chain(({ source, values }) => {
  const literals = source.split(/<\d>/).slice(1, -1);
  const inputs = fc.oneof(
    ...values.map((_, index) => nearly(values, index)),
    ...literals.map((between, index) => moved(values, index, between)),
  );
  return fc.record({ source: fc.constant(source), inputs });
});

describe('keys', () => {
  it('give two different inputs two names', () => {
    fc.assert(
      fc.property(alikeInputs, ({ source, inputs }) => {
        const compiled = compile(source);
        expectApart(inputs.map((input) => bytesOf(() => compiled.resolve({}, input))));
      }),
      { numRuns: 5_000 },
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
      fc.property(templateAndValues, ({ source, values }) => {
        const compiled = compile(source);
        const name = compiled.resolve({}, values);
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
      fc.property(alikeTexts, (texts) => {
        expectApart(texts.map((text) => bytesOf(() => text)));
        expectApart(texts.map((text) => bytesOf(() => `stock:${escapeSegment(text)}`)));
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['x\ud800', 'x\udc00'],
    ['x\ud800', 'x\ufffd'],
    ['\udc00x', '\ufffdx'],
    ['\ud83d', '\ude00'],
  ])('are refused where a surrogate stands alone: %j is not %j', (one, other) => {
    expect(() => checkName(`stock:${one}`)).toThrow(LockKeyError);
    expectApart([one, other].map((text) => bytesOf(() => `stock:${text}`)));
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
  const isName = (text: string): boolean => text !== '' && !/[\p{Cc}\p{Cs}]/u.test(text);
  const name = hostileText.filter(isName);
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
      fc.property(prefix, alikeTexts, (start, [one, other]) => {
        fc.pre(isName(one) && isName(other));
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

/** What a store is given for a key, or undefined where the key is refused. */
function bytesOf(key: () => string): string | undefined {
  try {
    const name = key();
    checkName(name);
    return Buffer.from(name).toString('hex');
  } catch (error) {
    expect(error).toBeInstanceOf(LockKeyError);
    return undefined;
  }
}

function expectApart(names: readonly (string | undefined)[]): void {
  const given = names.filter((name) => name !== undefined);
  expect(new Set(given).size).toBe(given.length);
}

function compile(source: string): KeyTemplate {
  return compileKeyTemplate(source, { label: 'Shop.sell', parameters: undefined });
}
