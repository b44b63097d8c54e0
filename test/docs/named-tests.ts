import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './page';

/** A test that a page names. */
export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

/** The tests that a page names so: `path/to/file.spec.ts`: "a part of its title". */
export function namedTestsIn(markdown: string): readonly NamedTest[] {
  return [...markdown.matchAll(/`([^`\s]+\.ts)`:\s+"([^"]+)"/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
}

/** Whether there is such a test. */
export function exists({ file, title }: NamedTest): boolean {
  return existsSync(join(ROOT, file)) && textOf(file).includes(title);
}

/** A test's file, with what it imports beside it: some take their titles from there. Quotes in titles are not escaped. */
function textOf(file: string): string {
  const path = join(ROOT, file);
  const text = readFileSync(path, 'utf8');
  const neighbours = [...text.matchAll(/from '(\.[^']+)'/g)]
    .map(([, neighbour = '']) => join(dirname(path), `${neighbour}.ts`))
    .filter((neighbour) => existsSync(neighbour));
  return [text, ...neighbours.map((neighbour) => readFileSync(neighbour, 'utf8'))]
    .join('\n')
    .replaceAll("\\'", "'");
}
