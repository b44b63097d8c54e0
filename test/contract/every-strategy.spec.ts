import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const STRATEGIES = join(__dirname, '../../libs/lock/src/strategies');

describe('the contract suite', () => {
  it('is run on every strategy of the library', () => {
    const folders = readdirSync(STRATEGIES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.length).toBeGreaterThan(0);
    expect(untried(folders.map(({ name }) => factoryOf(name)))).toEqual([]);
  });

  it('is missed where a strategy is not tried', () => {
    expect(untried(['memoryLock', 'etcdLock'])).toEqual(['etcdLock']);
  });
});

/** The name of the function that makes the strategy: the one export of its folder that is called so. */
function factoryOf(folder: string): string {
  const [, name] =
    /export \{ (\w+Lock)\b/.exec(readFileSync(join(STRATEGIES, folder, 'index.ts'), 'utf8')) ?? [];
  return name ?? `a factory in strategies/${folder}`;
}

/** Strategies that no contract test makes, itself or by a file beside it. */
function untried(factories: readonly string[]): readonly string[] {
  const specs = readdirSync(__dirname)
    .filter((file) => file.endsWith('.contract.spec.ts'))
    .map((file) => textWithNeighbours(join(__dirname, file)))
    .filter((text) => text.includes('describeLockStrategy('));
  return factories.filter((factory) => !specs.some((text) => text.includes(`${factory}(`)));
}

function textWithNeighbours(file: string): string {
  const text = readFileSync(file, 'utf8');
  const neighbours = [...text.matchAll(/from '\.\/([\w-]+)'/g)].map(([, name]) =>
    join(__dirname, `${name}.ts`),
  );
  return [text, ...neighbours.map((neighbour) => readFileSync(neighbour, 'utf8'))].join('\n');
}
