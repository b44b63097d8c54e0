import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemsOf } from './compile-snippets';
import { ROOT, snippetsOf, type Snippet } from './page';

const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

/** They show how to use the library; the others say how it is made, and how well. */
const GUIDES = [
  'README.md',
  ...['choosing-a-strategy', 'cluster-and-sentinel', 'fenced-transactions', 'idempotent-orders', 'jobs'].map(
    pageOf,
  ),
  ...['migrating', 'observability', 'operations', 'own-strategies', 'testing'].map(pageOf),
];

/** What the compiler must refuse, with what it says. */
const REFUSED: readonly (readonly [what: string, member: string, says: RegExp])[] = [
  [
    'an unknown option',
    "@DistributedLock('shop', { leaseTime: 1 }) async a(): Promise<void> {}",
    /leaseTime/,
  ],
  [
    'a private name',
    "@DistributedLock('shop') async #a(): Promise<void> {}",
    /Decorators are not valid here/,
  ],
  [
    'an arrow function',
    "@DistributedLock('shop') a = async (): Promise<void> => {};",
    /expects 2 or 3 arguments|signature/,
  ],
  [
    'a generator',
    "@DistributedLock('shop') *a(): Generator<number> {}",
    /A locked method must return a Promise/,
  ],
  [
    'an async generator',
    "@DistributedLock('shop') async *a(): AsyncGenerator<number> {}",
    /A locked method must return a Promise/,
  ],
  [
    'a method that is not async',
    "@DistributedLock('shop') a(): number { return 1; }",
    /must return a Promise/,
  ],
  [
    'a static method',
    "@DistributedLock('shop') static async a(): Promise<void> {}",
    /signature|not assignable/,
  ],
];

const snippets = DOCUMENTS.flatMap(snippetsOf);
const refused = REFUSED.map(([what, member]): Snippet => ({
  name: what,
  file: undefined,
  code: `import { DistributedLock } from 'nestjs-distributed-lock';\nexport class Shop { ${member} }`,
}));

// One run of the compiler for all: it takes seconds, and a minute on a machine under load.
jest.setTimeout(240_000);
let problems: readonly string[];
beforeAll(() => (problems = problemsOf([...snippets, ...refused])));

describe('the documents', () => {
  it('show how to use the library', () => {
    const documents = new Set(snippets.map(({ name }) => name.split('#', 1)[0]));
    expect([...documents]).toEqual(expect.arrayContaining(GUIDES));
  });

  it('give each file that they show a name of its own', () => {
    const files = snippets.map(({ file }) => file).filter((file) => file !== undefined);
    expect(files.filter((file, number) => files.indexOf(file) < number)).toEqual([]);
  });

  it('have only snippets that compile', () => {
    expect(
      problems.filter((problem) => !refused.some(({ name }) => problem.startsWith(`${name}: `))),
    ).toEqual([]);
  });

  it.each(['spin-lock.ts', 'spin-lock.worker.ts'])('show %s as it is tried by the contract suite', (file) => {
    const tried = readFileSync(join(__dirname, 'own-strategy', file), 'utf8');
    const shown = snippets.map(({ code }) => code).find((code) => code.startsWith(`// ${file}\n`));
    expect(shown).toBe(`// ${file}\n${tried}`);
  });
});

describe('the compiler', () => {
  it.each(REFUSED)('refuses %s', (what, _member, says) => {
    expect(problems.filter((problem) => problem.startsWith(`${what}: `)).join('\n')).toMatch(says);
  });
});

function pageOf(name: string): string {
  return `docs/${name}.md`;
}
