import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import MarkdownIt from 'markdown-it';
import * as ts from 'typescript';

export const ROOT = join(__dirname, '../..');

/** What snippets stand beside, so that they may import the example's own files: `./stock.entity`. */
export const SNIPPET_FOLDER = join(ROOT, 'src/stock');

const installed = createRequire(__filename);

/** A first line that names the snippet's file, for another snippet that imports it. */
const FILE_NAME = /^\/\/ ([\w.-]+\.ts)\n/;

export interface Snippet {
  /** Where it stands, for what is said of it. */
  readonly name: string;
  readonly code: string;
  /** The file that it says to be. */
  readonly file: string | undefined;
}

/**
 * The TypeScript of a page, block by block. What is marked as `typescript` instead is the code of another library, whose
 * types are not here, or broken.
 */
export function snippetsOf(document: string): readonly Snippet[] {
  return blocksOf(document, 'ts').map((code, number) => ({
    name: `${document}#${number + 1}`,
    code,
    file: FILE_NAME.exec(code)?.[1],
  }));
}

export function blocksOf(document: string, language: string): readonly string[] {
  return new MarkdownIt()
    .parse(readFileSync(join(ROOT, document), 'utf8'), {})
    .filter(({ type, info }) => type === 'fence' && info.trim() === language)
    .map(({ content }) => content);
}

/**
 * Runs the files of a page as a reader would have them: `load('./orders.service')`. Their other imports are ours, or
 * those of the packages.
 *
 * @param instead - modules that the page leaves to the reader
 */
export function loaderOf(
  document: string,
  instead: Readonly<Record<string, unknown>> = {},
): (path: string) => Record<string, unknown> {
  const snippets = snippetsOf(document);
  const loaded = new Map<string, Record<string, unknown>>();
  const load = (path: string): unknown => {
    const snippet = snippets.find(({ file }) => file === `${path.replace(/^\.\//, '')}.ts`);
    if (snippet === undefined) return instead[path] ?? installed(resolved(path));
    const known = loaded.get(path);
    if (known !== undefined) return known;
    const exports = {};
    loaded.set(path, exports);
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the code is a page of ours
    const run = new Function('require', 'exports', compiled(snippet)) as (
      ...scope: readonly unknown[]
    ) => void;
    run(load, exports);
    return exports;
  };
  return (path) => load(path) as Record<string, unknown>;
}

function resolved(path: string): string {
  if (!path.startsWith('.')) return path;
  const file = join(SNIPPET_FOLDER, `${path}.ts`);
  if (!existsSync(file)) throw new Error(`No snippet of the page is ${path}, and there is no ${file}.`);
  return file;
}

function compiled({ code, name }: Snippet): string {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
    ts.sys,
    ROOT,
  );
  const { outputText } = ts.transpileModule(code, {
    fileName: name,
    compilerOptions: {
      ...options,
      module: ts.ModuleKind.CommonJS,
      moduleResolution: undefined,
      sourceMap: false,
    },
  });
  return outputText;
}
