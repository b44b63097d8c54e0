import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import MarkdownIt, { type Token } from 'markdown-it';
import { ROOT } from './page';

/** A heading with what stands below it, up to the next heading of any level. */
export interface Section {
  readonly level: number;
  readonly heading: string;
  /** Fenced and indented blocks, with their language. */
  readonly code: readonly string[];
  readonly tables: readonly Table[];
  readonly listItems: number;
  readonly links: readonly Link[];
  /** What stands between backticks. */
  readonly names: readonly string[];
  /** What is read as it stands, between what Markdown makes of the rest. */
  readonly texts: readonly string[];
}

export interface Link {
  readonly target: string;
  readonly title: string;
}

/** The rows, the first with the headings. */
export type Table = readonly (readonly Cell[])[];

export interface Cell {
  readonly isEmpty: boolean;
  readonly links: readonly Link[];
  readonly names: readonly string[];
}

export function sectionsOf(file: string): readonly Section[] {
  const tokens = new MarkdownIt().parse(readFileSync(join(ROOT, file), 'utf8'), {});
  const starts = tokens.flatMap(({ type }, index) => (type === 'heading_open' ? [index] : []));
  return starts.map((start, number) => sectionOf(tokens.slice(start, starts[number + 1])));
}

function sectionOf(tokens: readonly Token[]): Section {
  const [opening, heading] = tokens;
  return {
    level: Number(opening?.tag.slice(1)),
    heading: heading?.content ?? '',
    code: tokens
      .filter(({ type }) => type === 'fence' || type === 'code_block')
      .map(({ info, content }) => `${info}\n${content}`),
    tables: tablesOf(tokens),
    listItems: tokens.filter(({ type }) => type === 'list_item_open').length,
    links: tokens.flatMap(linksOf),
    names: contentsOf(tokens, 'code_inline'),
    texts: contentsOf(tokens, 'text'),
  };
}

function contentsOf(tokens: readonly Token[], kind: 'code_inline' | 'text'): readonly string[] {
  const parts = tokens.flatMap(({ children }) => children ?? []);
  return parts.filter(({ type }) => type === kind).map(({ content }) => content);
}

function tablesOf(tokens: readonly Token[]): readonly Table[] {
  const tables: Cell[][][] = [];
  for (const token of tokens) {
    if (token.type === 'table_open') tables.push([]);
    if (token.type === 'tr_open') tables.at(-1)?.push([]);
    // A cell is one inline token, and nothing else of a table is.
    if (token.type === 'inline' && token.level >= 4) tables.at(-1)?.at(-1)?.push(cellOf(token));
  }
  return tables;
}

function cellOf(token: Token): Cell {
  return {
    isEmpty: token.content === '',
    links: linksOf(token),
    names: contentsOf([token], 'code_inline'),
  };
}

function linksOf({ children }: Token): readonly Link[] {
  return (children ?? [])
    .filter(({ type }) => type === 'link_open')
    .map((link) => ({
      target: String(link.attrGet('href') ?? ''),
      title: String(link.attrGet('title') ?? ''),
    }));
}
