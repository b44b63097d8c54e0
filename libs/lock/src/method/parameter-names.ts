import {
  parse,
  type Expression,
  type Function as FunctionNode,
  type MethodDefinition,
  type Pattern,
} from 'acorn';

/** Where a name in a method's parameter list finds its value: an argument, and a path of properties inside it. */
export interface NamedParameter {
  readonly name: string;
  readonly index: number;
  /** Not empty where the parameter is destructured: `{ item: { sku } }` names `sku` at `['item', 'sku']`. */
  readonly path: readonly string[];
  /** The name stands for the list of all arguments from `index` on. */
  readonly rest: boolean;
}

/**
 * The names that a method's parameters have in its source, or undefined where no source can be read.
 *
 * They are read from the *class*: the method's own source is wrong as soon as another decorator stands below, which
 * leaves a wrapper with parameters of its own, or `[native code]`. Only a method whose name is computed, and a class
 * that was compiled to a function, fall back to the method's source.
 */
export function parameterNames(
  target: object,
  propertyKey: string | symbol,
  method: (...args: never[]) => unknown,
): readonly NamedParameter[] | undefined {
  const isStatic = typeof target === 'function';
  const owner: unknown = isStatic ? target : target.constructor;
  const node =
    (typeof owner === 'function' && typeof propertyKey === 'string'
      ? findInClass(owner, propertyKey, isStatic)
      : undefined) ?? findInFunction(method);
  return node?.params.flatMap((parameter, index) => namesIn(parameter, index, []));
}

function findInClass(owner: object, name: string, isStatic: boolean): FunctionNode | undefined {
  const expression = parseExpression(sourceOf(owner));
  if (expression?.type !== 'ClassExpression') return undefined;
  return expression.body.body
    .filter((member) => member.type === 'MethodDefinition')
    .findLast((member) => member.static === isStatic && member.kind === 'method' && nameOf(member) === name)
    ?.value;
}

function nameOf({ key, computed }: MethodDefinition): string | undefined {
  if (key.type === 'Literal') return String(key.value);
  return key.type === 'Identifier' && !computed ? key.name : undefined;
}

function findInFunction(method: object): FunctionNode | undefined {
  const source = sourceOf(method);
  const expression = parseExpression(source) ?? parseExpression(`{ ${source} }`);
  if (expression?.type === 'FunctionExpression' || expression?.type === 'ArrowFunctionExpression')
    return expression;
  if (expression?.type !== 'ObjectExpression') return undefined;
  const [property] = expression.properties;
  return property?.type === 'Property' && property.value.type === 'FunctionExpression'
    ? property.value
    : undefined;
}

/** `toString` of the prototype: a class may have a static method of that name. */
function sourceOf(value: object): string {
  return Function.prototype.toString.call(value);
}

function parseExpression(source: string): Expression | undefined {
  try {
    // A class inside another may use the outer one's private names, which its own source does not declare.
    const program = parse(`(${source})`, { ecmaVersion: 'latest', checkPrivateFields: false });
    const [statement] = program.body;
    return statement?.type === 'ExpressionStatement' ? statement.expression : undefined;
  } catch {
    return undefined; // `[native code]`, or syntax newer than the parser
  }
}

function namesIn(pattern: Pattern | null, index: number, path: readonly string[]): NamedParameter[] {
  switch (pattern?.type) {
    case 'Identifier':
      return [{ name: pattern.name, index, path, rest: false }];
    case 'AssignmentPattern':
      return namesIn(pattern.left, index, path);
    case 'RestElement':
      return path.length === 0 ? namesInRest(pattern.argument, index) : [];
    case 'ArrayPattern':
      return pattern.elements.flatMap((element, position) =>
        namesIn(element, index, [...path, String(position)]),
      );
    case 'ObjectPattern':
      return pattern.properties.flatMap((property) => {
        if (property.type === 'RestElement') return [];
        const { key, computed } = property;
        if (key.type === 'Literal') return namesIn(property.value, index, [...path, String(key.value)]);
        return key.type === 'Identifier' && !computed
          ? namesIn(property.value, index, [...path, key.name])
          : [];
      });
    default:
      return [];
  }
}

function namesInRest(pattern: Pattern, index: number): NamedParameter[] {
  if (pattern.type === 'Identifier') return [{ name: pattern.name, index, path: [], rest: true }];
  if (pattern.type !== 'ArrayPattern') return [];
  return pattern.elements.flatMap((element, position) => namesIn(element, index + position, []));
}
