import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exists, type NamedTest } from './named-tests';
import { ROOT } from './page';

const PAGE = readFileSync(join(ROOT, 'docs/guarantees.md'), 'utf8');

interface CodedTest extends NamedTest {
  readonly code: string;
}

const TESTS: readonly CodedTest[] = [...PAGE.matchAll(/^- \*\*([\w-]+)\*\* `([^`]+)`:\s+"([^"]+)"$/gm)].map(
  ([, code = '', file = '', title = '']) => ({ code, file, title }),
);

describe('the page of guarantees', () => {
  it.each(TESTS)('names a test that there is: $code', (test) => {
    expect(exists(test)).toBe(true);
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
