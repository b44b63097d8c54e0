import { sectionsOf, type Section } from './readme-parts';

const english = sectionsOf('README.md');
const korean = sectionsOf('README.ko.md');

describe('the README in Korean', () => {
  it('has the headings of the one in English, on the same levels', () => {
    expect(korean.map(({ level }) => level)).toEqual(english.map(({ level }) => level));
    expect(english.length).toBeGreaterThan(15);
  });

  it('has the same blocks of code, to the letter', () => {
    expect(inEach(korean, ({ code }) => code)).toEqual(inEach(english, ({ code }) => code));
    expect(english.flatMap(({ code }) => code).length).toBeGreaterThan(8);
  });

  it('has as many tables, rows and columns, with the same names in each cell', () => {
    expect(inEach(korean, cells)).toEqual(inEach(english, cells));
    expect(english.flatMap(({ tables }) => tables).length).toBeGreaterThan(5);
  });

  it('has as many points in its lists', () => {
    expect(inEach(korean, ({ listItems }) => listItems)).toEqual(
      inEach(english, ({ listItems }) => listItems),
    );
  });

  it('leads to the same places', () => {
    expect(inEach(korean, targets)).toEqual(inEach(english, targets));
    expect(english.flatMap(targets).length).toBeGreaterThan(100);
  });

  it('names the same options, errors and commands', () => {
    expect(inEach(korean, names)).toEqual(inEach(english, names));
    expect(english.flatMap(names).length).toBeGreaterThan(100);
  });

  it('is in Korean', () => {
    const untranslated = korean.filter(({ heading }) => !/[가-힣]/.test(heading));
    expect(untranslated.map(({ heading }) => heading)).toEqual(['nestjs-distributed-lock']);
  });
});

/** By heading, so that a difference says where it is. */
function inEach<T>(sections: readonly Section[], part: (section: Section) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(
    sections.map((section, number) => [english[number]?.heading ?? number, part(section)]),
  );
}

/** Of each cell the names in it. A cell that is missing is added as an empty one at the end of its row. */
function cells({ tables }: Section): readonly (readonly (readonly string[])[])[] {
  return tables.map((rows) =>
    rows.map((row) => row.map(({ isEmpty, names }) => (isEmpty ? 'empty' : [...names].sort().join(', ')))),
  );
}

/** Sentences are in another order in another language, and so is what they name. */
function names(section: Section): readonly string[] {
  return [...section.names].sort();
}

function targets({ links }: Section): readonly string[] {
  return links
    .map(
      ({ target, title }) =>
        `${isAnchor(target) ? '#' : isOtherLanguage(target) ? 'README' : target} ${title}`,
    )
    .sort();
}

/** A heading of the same page, which is called otherwise here. */
function isAnchor(target: string): boolean {
  return target.startsWith('#');
}

function isOtherLanguage(target: string): boolean {
  return target === 'README.md' || target === 'README.ko.md';
}
