import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exists, namedTestsIn } from './named-tests';
import { ROOT } from './page';

const [, ...MISTAKES] = readFileSync(join(ROOT, 'docs/mistakes.md'), 'utf8').split(/^\*\*/m);

describe('the page of mistakes', () => {
  it('has a good two dozen of them', () => {
    expect(MISTAKES.length).toBeGreaterThan(24);
  });

  it.each(MISTAKES.map((text) => ({ mistake: text.split('**')[0], text })))(
    'names tests that there are: $mistake',
    ({ text }) => {
      const tests = namedTestsIn(text);
      expect(tests).not.toEqual([]);
      expect(tests.filter((test) => !exists(test))).toEqual([]);
    },
  );
});
