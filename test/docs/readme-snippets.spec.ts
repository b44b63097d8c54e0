import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import MarkdownIt from 'markdown-it';
import * as ts from 'typescript';

const ROOT = join(__dirname, '../..');

/** Beside the example's own files, so that a snippet may import `./stock.entity`. */
const FOLDER = join(ROOT, 'src/stock');

describe('the README', () => {
  const snippets = typescriptBlocks(readFileSync(join(ROOT, 'README.md'), 'utf8'));

  it('shows how to use the library', () => {
    expect(snippets.length).toBeGreaterThan(3);
  });

  it('has only snippets that compile', () => {
    expect(problemsOf(snippets.map(({ code }) => code))).toEqual([]);
  });

  it('is checked by a compiler that finds a wrong option', () => {
    const wrong = `
      import { DistributedLock } from 'nestjs-distributed-lock';
      export class Shop {
        @DistributedLock('stock:<id>', { leaseTime: 5_000 })
        async sell(id: number): Promise<number> { return id; }
      }`;
    expect(problemsOf([wrong])).toEqual([expect.stringContaining('leaseTime')]);
  });
});

interface Snippet {
  readonly code: string;
}

function typescriptBlocks(markdown: string): readonly Snippet[] {
  return new MarkdownIt()
    .parse(markdown, {})
    .filter((token) => token.type === 'fence' && token.info.trim() === 'ts')
    .map((token) => ({ code: token.content }));
}

/** Compiles each snippet as a module of its own, with the settings of the project. */
function problemsOf(snippets: readonly string[]): readonly string[] {
  const files = new Map(snippets.map((code, number) => [join(FOLDER, `readme-snippet-${number + 1}.ts`), code]));
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: { include?: unknown };
  };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, ROOT);
  const checks = { ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false };
  const host = ts.createCompilerHost(checks);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  const { getSourceFile } = host;
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const code = files.get(path);
    return code === undefined
      ? getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, code, languageVersion);
  };
  const program = ts.createProgram([...files.keys()], checks, host);
  return [...files.keys()]
    .flatMap((path) => ts.getPreEmitDiagnostics(program, program.getSourceFile(path)))
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}
