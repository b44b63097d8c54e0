import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import MarkdownIt, { type Token } from 'markdown-it';
import { ROOT } from './page';

const markdown = new MarkdownIt();

const DOCUMENTS = [
  ...['README.md', 'README.ko.md', 'CONTRIBUTING.md', 'libs/lock/CHANGELOG.md'],
  ...readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

describe('a link', () => {
  it.each(DOCUMENTS)('of %s leads to a file and a heading that there are', (document) => {
    const missing = linksOf(document).filter((link) => !leadsSomewhere(document, link));
    expect(missing).toEqual([]);
  });

  it('leads to each guide from another one', () => {
    const guides = DOCUMENTS.filter((document) => document.startsWith('docs/'));
    const linked = new Set(
      DOCUMENTS.flatMap((document) =>
        linksOf(document)
          .map((link) => targetOf(document, link).file)
          .filter((file) => file !== document),
      ),
    );
    expect(guides.filter((guide) => !linked.has(guide))).toEqual([]);
  });

  it('is found missing when its file or its heading is', () => {
    const broken = ['nothing.md', '../README.md#nothing', '#nothing', 'jobs.md#nothing'];
    expect(broken.filter((link) => leadsSomewhere('docs/operations.md', link))).toEqual([]);
    const right = ['jobs.md', '../README.md', '#redis', 'jobs.md#leader-election', 'https://example.com/x'];
    expect(right.filter((link) => !leadsSomewhere('docs/operations.md', link))).toEqual([]);
  });
});

function leadsSomewhere(document: string, link: string): boolean {
  if (/^[a-z]+:/.test(link)) return true;
  const { file, anchor } = targetOf(document, link);
  if (!existsSync(join(ROOT, file))) return false;
  return anchor === undefined || !file.endsWith('.md') || anchorsOf(file).has(anchor);
}

function targetOf(
  document: string,
  link: string,
): { readonly file: string; readonly anchor: string | undefined } {
  const [path = '', anchor] = decodeURIComponent(link).split('#', 2);
  return { file: path === '' ? document : posix.normalize(posix.join(dirname(document), path)), anchor };
}

function linksOf(document: string): readonly string[] {
  return inlineOf(document).flatMap((token) => [
    ...(token.type === 'link_open' ? [String(token.attrGet('href'))] : []),
    ...(token.type === 'image' ? [String(token.attrGet('src'))] : []),
  ]);
}

function inlineOf(document: string): readonly Token[] {
  return tokensOf(document).flatMap(({ children }) => children ?? []);
}

/** As GitHub makes them: the second heading of a name has `-1` behind it. */
function anchorsOf(document: string): ReadonlySet<string> {
  const tokens = tokensOf(document);
  const anchors = new Set<string>();
  for (const [at, { type }] of tokens.entries()) {
    if (type !== 'heading_open') continue;
    const text = (tokens[at + 1]?.children ?? []).map(({ content }) => content).join('');
    const anchor = text
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let unique = anchor;
    for (let again = 1; anchors.has(unique); again += 1) unique = `${anchor}-${again}`;
    anchors.add(unique);
  }
  return anchors;
}

function tokensOf(document: string): readonly Token[] {
  return markdown.parse(readFileSync(join(ROOT, document), 'utf8'), {});
}
