import { exists, titlesIn } from './named-tests';

/** Specs that have the title, where jest runs the test, and as it is written there. */
const RUN = [
  `it('the title', () => undefined);`,
  `test("the title", () => undefined);`,
  `describe('the title', () => undefined);`,
  `describe('another', () => { it('the title', () => undefined); });`,
  `it.each([1, 2])('the title', () => undefined);`,
  `it(\`the title of \${1}\`, () => undefined);`,
  `runner.it('the title', () => undefined);`,
];

const NOT_RUN = [
  `// it('the title', () => undefined);`,
  `it('another', () => expect('the title').toBe(1));`,
  `expect(/the title/.test('the title')).toBe(true);`,
  `it.skip('the title', () => undefined);`,
  `xit('the title', () => undefined);`,
  `it.todo('the title');`,
  `it.skip.each([1, 2])('the title', () => undefined);`,
  `describe.skip('another', () => { it('the title', () => undefined); });`,
  `xdescribe('another', () => { it('the title', () => undefined); });`,
  `it('the title', () => undefined); it.only('another', () => undefined);`,
  `import { it } from './the title';`,
];

describe('a test that a page names', () => {
  it.each(RUN)('is found in %s', (source) => {
    expect(titlesIn(source).join()).toContain('the title');
  });

  it.each(NOT_RUN)('is missed in %s', (source) => {
    expect(titlesIn(source).join()).not.toContain('the title');
  });

  it('is missed when its file is gone, or another one has it', () => {
    expect(exists({ file: 'test/docs/gone.spec.ts', title: 'the page of mistakes' })).toBe(false);
    expect(exists({ file: 'test/docs/guarantees.spec.ts', title: 'the page of mistakes' })).toBe(false);
    expect(exists({ file: 'test/docs/mistakes.spec.ts', title: 'the page of mistakes' })).toBe(true);
  });

  it('is missed when the cases of the contract, or the rounds of faults, have no such title', () => {
    const [file, round] = [
      'libs/lock/src/testing/cases/exclusion.cases.ts',
      'test/fault/rounds/redis.fault.spec.ts',
    ];
    expect(exists({ file, title: 'has the traits that it is tried for' })).toBe(true);
    expect(exists({ file, title: 'exclusionCases' })).toBe(false);
    expect(exists({ file: round, title: 'when Redis loses its data' })).toBe(true);
    expect(exists({ file: round, title: 'describeFaults' })).toBe(false);
  });
});
