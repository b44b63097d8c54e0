import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(__dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/guarantees.md'), 'utf8');

interface NamedTest {
  readonly code: string;
  readonly file: string;
  readonly title: string;
}

const TESTS: readonly NamedTest[] = [...PAGE.matchAll(/^- \*\*([\w-]+)\*\* `([^`]+)`:\s+"([^"]+)"$/gm)].map(
  ([, code = '', file = '', title = '']) => ({ code, file, title }),
);

describe('the page of guarantees', () => {
  it.each(TESTS)('names a test that there is: $code', ({ file, title }) => {
    expect(textOf(file)).toContain(title);
  });

  it('names a test, or a reason, in every cell about a fault', () => {
    const [, section = ''] = PAGE.split('## Faults');
    const rows = section
      .split('\n## ')[0]
      ?.split('\n')
      .filter((line) => line.startsWith('|'))
      .slice(2);
    expect(rows?.length).toBeGreaterThan(10);
    const empty = rows?.flatMap((row) =>
      cellsOf(row)
        .slice(1)
        .filter((cell) => codesIn(cell).length === 0 && !/can't|ends the process/.test(cell)),
    );
    expect(empty).toEqual([]);
  });

  it('uses the codes that it explains, and no others', () => {
    const [text = ''] = PAGE.split('## The tests');
    expect([...new Set(codesIn(text))].sort()).toEqual(TESTS.map(({ code }) => code).sort());
  });
});

function cellsOf(row: string): readonly string[] {
  return row.split('|').slice(1, -1);
}

function codesIn(text: string): readonly string[] {
  return [...text.matchAll(/\[([A-Z]-[\w-]+)\]/g)].map(([, code = '']) => code);
}

/** A test's file, with what it imports beside it: some take their titles from there. */
function textOf(file: string): string {
  const path = join(ROOT, file);
  const text = readFileSync(path, 'utf8');
  const neighbours = [...text.matchAll(/from '(\.[^']+)'/g)]
    .map(([, neighbour = '']) => join(dirname(path), `${neighbour}.ts`))
    .filter((neighbour) => existsSync(neighbour));
  return [text, ...neighbours.map((neighbour) => readFileSync(neighbour, 'utf8'))].join('\n');
}
