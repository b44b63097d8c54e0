import { exists } from './named-tests';
import { sectionsOf, type Cell } from './readme-parts';

/** A file of a peer as it was when we read it: a branch would show another one tomorrow. */
const PEER_SOURCE = /^https:\/\/github\.com\/[\w.-]+\/[\w.-]+\/blob\/[0-9a-f]{40}\/.+/;
const OWN_TEST = /^(test|libs\/lock\/src)\/.+\.(spec|cases)\.ts$/;

describe.each(['README.md', 'README.ko.md'])('%s', (file) => {
  const sections = sectionsOf(file);
  const links = sections.flatMap((section) => section.links);

  it('leaves no mark of Markdown to be read', () => {
    // `**[name][link]**는` is no bold text: a letter may not follow where it ends with a bracket.
    const marks = sections.flatMap(({ texts }) => texts).filter((text) => /\*\*|\]\[|`/.test(text));
    expect(marks).toEqual([]);
  });

  it('names tests by titles that they have', () => {
    const titled = links.filter(({ target, title }) => title !== '' && OWN_TEST.test(target));
    const wrong = titled.filter(({ target, title }) => !exists({ file: target, title }));
    expect(wrong).toEqual([]);
    expect(titled.length).toBeGreaterThan(8);
  });

  it('shows a test of ours, or the source of a peer, in each cell that compares', () => {
    const [rows = []] = sections.flatMap(({ tables }) =>
      tables.filter(([head = []]) => head.length === PEERS + 2),
    );
    const compared = rows.slice(1).map((cells) => cells.slice(1));
    expect(compared.length).toBeGreaterThan(9);
    const wrong = compared.filter(
      ([ours, ...peers]) =>
        ours === undefined ||
        !isShownBy(ours, OWN_TEST) ||
        !peers.every((cell) => isShownBy(cell, PEER_SOURCE)),
    );
    expect(wrong).toEqual([]);
  });
});

/** Columns of the comparison beside ours and the first one. */
const PEERS = 6;

function isShownBy({ links }: Cell, source: RegExp): boolean {
  return links.length > 0 && links.every(({ target }) => source.test(target));
}
