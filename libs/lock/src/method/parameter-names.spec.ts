import { runInThisContext } from 'node:vm';
import { parameterNames } from './parameter-names.js';

type Method = (...args: never[]) => unknown;

/** Classes as compilers write them, and as other decorators leave their methods. */
function namesOf(source: string, member: string | symbol = 'method', isStatic = false): unknown {
  const owner = runInThisContext(`(${source})`) as { readonly prototype: object };
  const target = isStatic ? owner : owner.prototype;
  return describeNames(target, member);
}

function describeNames(target: object, member: string | symbol): unknown {
  const method = (target as Record<string | symbol, Method>)[member] ?? (() => undefined);
  return parameterNames(target, member, method)?.map(({ name, index, path, rest }) =>
    [rest ? `...${name}` : name, index, ...path].join(' '),
  );
}

describe('the names of parameters', () => {
  it('are read with defaults, destructuring and rest', () => {
    const source = `class {
      async method(id = 1, { item: { sku }, 'a b': odd, quantity: amount = 2, ...others }, [first, , [third]], ...rest) {}
    }`;
    expect(namesOf(source)).toEqual([
      'id 0',
      'sku 1 item sku',
      'odd 1 a b',
      'amount 1 quantity',
      'first 2 0',
      'third 2 2 0',
      '...rest 3',
    ]);
  });

  it('are read from a list of the remaining arguments', () => {
    expect(namesOf('class { async method(a, ...[b, c]) {} }')).toEqual(['a 0', 'b 1', 'c 2']);
  });

  it('are those of the class when a decorator below put a wrapper into its place', () => {
    class Wrapped {
      async method(id: number): Promise<number> {
        return id;
      }
    }
    Wrapped.prototype.method = async (...args) => args[0];
    expect(describeNames(Wrapped.prototype, 'method')).toEqual(['id 0']);
    Wrapped.prototype.method = (async () => 1).bind(undefined);
    expect(describeNames(Wrapped.prototype, 'method')).toEqual(['id 0']);
  });

  it('tell a static method from an instance method of the same name, and a method from an accessor', () => {
    const source = 'class { static async method(a) {} async method(b) {} get other() {} static other(c) {} }';
    expect(namesOf(source)).toEqual(['b 0']);
    expect(namesOf(source, 'method', true)).toEqual(['a 0']);
    expect(namesOf(source, 'other', true)).toEqual(['c 0']);
  });

  it('are those of the last method when a class declares one twice', () => {
    expect(namesOf('class { method(a) {} method(b) {} }')).toEqual(['b 0']);
  });

  it('are found under a name in quotes, and under a computed one', () => {
    expect(namesOf(`class { async 'the method'(id) {} }`, 'the method')).toEqual(['id 0']);
    expect(namesOf(`class { async ['the method'](id) {} }`, 'the method')).toEqual(['id 0']);
    expect(namesOf(`class { async ['meth' + 'od'](id) {} }`)).toEqual(['id 0']);
    const symbol = Symbol.for('method');
    expect(namesOf(`class { async [Symbol.for('method')](id) {} }`, symbol)).toEqual(['id 0']);
  });

  it('are found in classes with private names, static blocks, a parent and a toString of their own', () => {
    const source = `class extends Object {
      static { this.made = true; }
      static toString() { return 'class {}'; }
      #secret = 1;
      async method(id) { return super.toString() + this.#secret; }
    }`;
    expect(namesOf(source)).toEqual(['id 0']);
    const inner = `(() => { class Outer { #key; static Inner = class { async method(id) { return #key in id; } } } return Outer.Inner; })()`;
    expect(namesOf(inner)).toEqual(['id 0']);
  });

  it('are found in a class that was compiled to a function', () => {
    const source = `(() => { function Old() {} Old.prototype.method = function (id, quantity) {}; return Old; })()`;
    expect(namesOf(source)).toEqual(['id 0', 'quantity 1']);
    const arrow = `(() => { function Old() {} Old.prototype.method = async (id) => id; return Old; })()`;
    expect(namesOf(arrow)).toEqual(['id 0']);
  });

  it('are not there for a method without a source', () => {
    const source = `(() => { function Old() {} Old.prototype.method = (() => 1).bind(null); return Old; })()`;
    expect(namesOf(source)).toBeUndefined();
  });
});
