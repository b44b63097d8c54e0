import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTRACT_CASES, type ContractCase } from 'nestjs-distributed-lock/testing';
import * as ts from 'typescript';
import { registeredBy } from '../contract/registered-tests';
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

/** Whether there is such a test, and jest runs it. */
export function exists({ file, title }: NamedTest): boolean {
  const path = join(ROOT, file);
  return existsSync(path) && titlesOf(path).some((one) => one.includes(title));
}

function titlesOf(path: string): readonly string[] {
  if (path.endsWith('.cases.ts')) return titlesOfCases(path);
  // One function gives them their titles.
  if (path.endsWith('.fault.spec.ts')) return registeredBy([path]).map(({ title }) => title);
  return titlesIn(readFileSync(path, 'utf8'));
}

/** Of those that belong to the contract. */
function titlesOfCases(path: string): readonly string[] {
  const exported = Object.values(jest.requireActual<Readonly<Record<string, unknown>>>(path)).flat();
  return CONTRACT_CASES.filter((one: ContractCase) => exported.includes(one)).map(({ title }) => title);
}

/** What stands in the place of the function: `it`, `it.each`, `runner.it`, which a contract suite is given. */
const REGISTERS = /^(runner\.)?(describe|it|test)(\.each)?$/;
const LEAVES_OUT = /^(x(describe|it|test)|(describe|it|test)\.(skip|todo|failing))\b/;
const LEAVES_OUT_THE_OTHERS = /^(f(describe|it)|(describe|it|test)\.only)\b/;

/** The titles in the text of a spec, without those that jest leaves out. Of a template, each part is one. */
export function titlesIn(source: string): readonly string[] {
  const titles: string[] = [];
  let isLeftOut = false;
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const name = calledBy(node);
      if (LEAVES_OUT.test(name)) return;
      isLeftOut ||= LEAVES_OUT_THE_OTHERS.test(name);
      const [title] = node.arguments;
      if (REGISTERS.test(name) && title !== undefined) titles.push(...partsOf(title));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('some.spec.ts', source, ts.ScriptTarget.Latest, true));
  return isLeftOut ? [] : titles;
}

/** `it.each` of `it.each(rows)('title', …)`. */
function calledBy({ expression }: ts.CallExpression): string {
  if (ts.isCallExpression(expression)) return expression.expression.getText();
  return ts.isTaggedTemplateExpression(expression) ? expression.tag.getText() : expression.getText();
}

function partsOf(title: ts.Expression): readonly string[] {
  if (ts.isStringLiteralLike(title)) return [title.text];
  if (!ts.isTemplateExpression(title)) return [];
  return [title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)];
}
