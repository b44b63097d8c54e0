import { runInThisContext } from 'node:vm';
import { transformSync, type JscTarget } from '@swc/core';
import { ScriptTarget, transpileModule } from 'typescript';
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

  const SOURCE = `
    const pass: any = () => {};
    @pass
    class Stock {
      #sold = 0;
      @pass
      async method(@pass id: number, { sku }: { sku: string } = { sku: '' }, ...rest: number[]): Promise<void> {
        this.#sold += id + sku.length + rest.length;
      }
    }
    Stock`;
  const NAMES = ['id 0', 'sku 1 sku', '...rest 2'];

  it.each([ScriptTarget.ES2017, ScriptTarget.ES2022, ScriptTarget.ESNext])(
    'are those of the source when tsc compiles it to target %i',
    (target) => {
      const compilerOptions = { target, experimentalDecorators: true, emitDecoratorMetadata: true };
      expect(namesInScript(transpileModule(SOURCE, { compilerOptions }).outputText)).toEqual(NAMES);
    },
  );

  it.each<JscTarget>(['es2017', 'es2022', 'esnext'])(
    'are those of the source when swc compiles it to %s',
    (target) => {
      const jsc = {
        parser: { syntax: 'typescript' as const, decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        target,
      };
      expect(namesInScript(transformSync(SOURCE, { jsc, isModule: false }).code)).toEqual(NAMES);
    },
  );

  it('are others when the code is minified', () => {
    const jsc = {
      parser: { syntax: 'typescript' as const, decorators: true },
      transform: { legacyDecorator: true },
      target: 'es2022' as const,
      minify: { mangle: true },
    };
    expect(namesInScript(transformSync(SOURCE, { jsc, isModule: false }).code)).not.toEqual(NAMES);
  });
});

function namesInScript(code: string): unknown {
  const owner = runInThisContext(`(() => { ${code.replace(/Stock;\s*$/, 'return Stock;')} })()`) as {
    readonly prototype: object;
  };
  return describeNames(owner.prototype, 'method');
}
