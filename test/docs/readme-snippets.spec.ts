import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import MarkdownIt from 'markdown-it';
import { problemsOf, type Snippet } from './compile-snippets';

const ROOT = join(__dirname, '../..');

const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
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

const snippets = DOCUMENTS.flatMap(typescriptBlocksOf);
const refused = REFUSED.map(([what, member]): Snippet => ({
  name: what,
  code: `import { DistributedLock } from 'nestjs-distributed-lock';\nexport class Shop { ${member} }`,
}));

// One run of the compiler for all: it takes seconds, and a minute on a machine under load.
jest.setTimeout(240_000);
let problems: readonly string[];
beforeAll(() => (problems = problemsOf([...snippets, ...refused])));

describe('the documents', () => {
  it('show how to use the library', () => {
    const documents = new Set(snippets.map(({ name }) => name.split('#', 1)[0]));
    expect(snippets.length).toBeGreaterThan(12);
    expect([...documents]).toEqual(
      expect.arrayContaining([
        'README.md',
        'docs/observability.md',
        'docs/testing.md',
        'docs/own-strategies.md',
      ]),
    );
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

function typescriptBlocksOf(document: string): readonly Snippet[] {
  return new MarkdownIt()
    .parse(readFileSync(join(ROOT, document), 'utf8'), {})
    .filter((token) => token.type === 'fence' && token.info.trim() === 'ts')
    .map(({ content }, number) => ({ name: `${document}#${number + 1}`, code: content }));
}
