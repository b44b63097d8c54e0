import { LockConfigurationError, LockKeyError } from 'nestjs-distributed-lock';
import { compileKeyTemplate } from './key-template.js';
import { parameterNames } from './parameter-names.js';

class Orders {
  readonly tenant = 'acme';
  async place(
    id: unknown,
    order: unknown,
    { sku }: { sku?: unknown } = {},
    ...more: unknown[]
  ): Promise<unknown> {
    return [id, order, sku, more];
  }
}

function compile(template: string) {
  const { prototype } = Orders;
  return compileKeyTemplate(template, {
    label: 'Orders.place',
    parameters: parameterNames(prototype, 'place', prototype.place),
  });
}

function keyOf(template: string, ...args: unknown[]): string {
  return compile(template).resolve(new Orders(), args);
}

describe('a key template', () => {
  it.each([
    ['settle', [], 'settle'],
    ['stock:<id>', [42], 'stock:42'],
    ['<id>', ['a'], 'a'],
    ['stock:<0>', [42], 'stock:42'],
    ['stock:<1>:<0>', [1, 'b'], 'stock:b:1'],
    ['order:<order.line.sku>', [1, { line: { sku: 'x' } }], 'order:x'],
    ['order:<1.lines.0>', [1, { lines: ['first'] }], 'order:first'],
    ['stock:<sku>', [1, 2, { sku: 'x' }], 'stock:x'],
    ['stock:<more.1>', [1, 2, 3, 'a', 'b'], 'stock:b'],
    ['stock:<more.0.id>', [1, 2, 3, { id: 7 }], 'stock:7'],
    ['<this.tenant>:stock:<id>', [3], 'acme:stock:3'],
    ['stock-<id>:/<0>!', [3], 'stock-3:/3!'],
  ])('%s with %j is %s', (template, args, key) => {
    expect(keyOf(template, ...args)).toBe(key);
  });

  it.each([
    [42, '42'],
    ['42', '42'],
    [42n, '42'],
    [-0, '0'],
    [0, '0'],
    [1.5, '1.5'],
    [true, 'true'],
    [false, 'false'],
    ['undefined', 'undefined'],
    ['ключ', 'ключ'],
  ])('takes %p as %s', (value, segment) => {
    expect(keyOf('stock:<id>', value)).toBe(`stock:${segment}`);
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['', 'an empty string'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [{}, 'an object'],
    [[1], 'an object (Array)'],
    [new Date(0), 'an object (Date)'],
    [Object.create(null), 'an object'],
    [Symbol('id'), 'a symbol'],
    [() => 1, 'a function'],
  ])('refuses %p, which everybody would share', (value, description) => {
    const call = () => keyOf('stock:<id>', value);
    expect(call).toThrow(LockKeyError);
    expect(call).toThrow(`<id> in the key 'stock:<id>' of Orders.place is ${description},`);
  });

  it('refuses a path that leads nowhere', () => {
    expect(() => keyOf('order:<order.line.sku>', 1, { line: null })).toThrow(LockKeyError);
    expect(() => keyOf('order:<order.line.sku>', 1)).toThrow('<order.line.sku>');
  });

  it('does not take a default value for an argument', () => {
    expect(() => keyOf('stock:<sku>', 1, 2)).toThrow(
      'a default value in the parameter list is not seen here',
    );
  });

  it('lets no value reach beyond its segment', () => {
    const typed = 'a:b%<c>{d}\n\u007f';
    const key = keyOf('stock:<id>:x', typed);
    expect(key).toBe('stock:a%3Ab%25%3Cc%3E%7Bd%7D%0A%7F:x');
    expect(keyOf('stock:<id>', '42:x')).not.toBe(keyOf('stock:<id>:x', '42'));
  });

  it.each([
    [
      'stock:<identity>',
      'names the parameter <identity>, which the method does not have. It has: id, order, sku, more.',
    ],
    ['stock:<identity>', 'name the argument by its position, as <0>'],
    ['stock:<>', 'neither a name nor a path'],
    ['stock:< id >', 'neither a name nor a path'],
    ['stock:<id.>', 'neither a name nor a path'],
    ['stock:<order[0]>', 'neither a name nor a path'],
    ['stock:<id', 'a "<" or ">" without its partner'],
    ['stock:id>', 'a "<" or ">" without its partner'],
    ['stock:<<id>>', 'a "<" or ">" without its partner'],
    ['stock:{id}', 'braces, which are no placeholders. Write <id>'],
    ['stock:${id}', 'braces, which are no placeholders. Write <id>'],
    ['stock:', 'an empty segment'],
    [':<id>', 'an empty segment'],
    ['stock::<id>', 'an empty segment'],
    ['stock:<this>', 'has <this>, which is an object'],
    ['stock:<more>', '"more" is a list of arguments. Name one of them, as <more.0>'],
    ['stock:<more.length>', '"more" is a list of arguments'],
    ['stock\n:<id>', 'can never be a key'],
    ['x'.repeat(1_025), 'can never be a key'],
  ])('%j is refused when the class is defined', (template, message) => {
    expect(() => compile(template)).toThrow(LockConfigurationError);
    expect(() => compile(template)).toThrow(message);
  });

  it('suggests the position where names are lost', () => {
    const lost = { label: 'a.b', parameters: [{ name: 't', index: 0, path: [], rest: false }] };
    expect(() => compileKeyTemplate('stock:<id>', lost)).toThrow(/It has: t\..*minified.*<0>/);
    expect(() => compileKeyTemplate('stock:<id>', { label: 'a.b', parameters: [] })).toThrow(
      'It has no parameters.',
    );
    expect(() => compileKeyTemplate('stock:<id>', { label: 'a.b', parameters: undefined })).toThrow(
      /can't be read.*<0>/,
    );
    expect(compileKeyTemplate('stock:<0>', { label: 'a.b', parameters: undefined }).resolve({}, [1])).toBe(
      'stock:1',
    );
  });

  it.each([
    ['settle', 'settle'],
    ['stock:<id>', 'stock'],
    ['stock:all', 'stock'],
    ['<this.tenant>:stock', undefined],
    ['stock-<id>:x', undefined],
    ['<id>', undefined],
  ])('%s has the resource %s at every call', (template, resource) => {
    expect(compile(template).resource).toBe(resource);
  });
});
