import { format } from 'node:util';

/** A test that a spec registers. */
export interface RegisteredTest {
  /** Titles of the `describe`s around it, the outermost first. */
  readonly within: readonly string[];
  readonly title: string;
}

type Body = () => void;
type Block = (title: string, body: Body) => void;

const HOOKS = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'];
const LEFT_OUT = ['skip', 'only', 'todo', 'failing'];
const LEFT_OUT_BY_NAME = ['fdescribe', 'xdescribe', 'fit', 'xit', 'xtest'];

/**
 * The tests that these specs register, in the order of the specs, none of which is run. Whatever would let jest leave
 * one of them out throws.
 */
export function registeredBy(files: readonly string[]): readonly RegisteredTest[] {
  const tests: RegisteredTest[] = [];
  let within: readonly string[] = [];
  const describe: Block = (title, body) => {
    const outer = within;
    within = [...outer, title];
    body();
    within = outer;
  };
  const it = (title: string): void => void tests.push({ within, title });
  const stand = {
    describe: standInFor('describe', describe),
    it: standInFor('it', it),
    test: standInFor('test', it),
    ...Object.fromEntries(HOOKS.map((name) => [name, () => undefined])),
    ...leavingOut(LEFT_OUT_BY_NAME),
  };
  const own = Object.fromEntries(Object.keys(stand).map((name) => [name, Reflect.get(globalThis, name)]));
  Object.assign(globalThis, stand);
  try {
    jest.isolateModules(() => files.forEach((file) => void jest.requireActual(file)));
  } finally {
    Object.assign(globalThis, own);
  }
  return tests;
}

/** In the place of jest's function. */
function standInFor(name: string, register: Block): Block {
  const block: Block = (title, body) => register(title, body);
  const each =
    (rows: readonly (readonly unknown[])[]) =>
    (title: string, body: (...row: readonly unknown[]) => void): void => {
      for (const row of rows) {
        const values = row.slice(0, title.split('%').length - 1);
        block(format(title, ...values), () => body(...row));
      }
    };
  return Object.assign(block, { each }, leavingOut(LEFT_OUT, `${name}.`));
}

function leavingOut(names: readonly string[], prefix = ''): Readonly<Record<string, () => never>> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      () => {
        throw new Error(`A spec that has to be run uses ${prefix}${name}.`);
      },
    ]),
  );
}
