import { join } from 'node:path';
import * as ts from 'typescript';

const ROOT = join(__dirname, '../..');

/** Beside the example's own files, so that a snippet may import `./stock.entity`. */
const FOLDER = join(ROOT, 'src/stock');

/** A first line that names the snippet's file, for another snippet that imports it. */
const FILE_NAME = /^\/\/ ([\w.-]+\.ts)\n/;

export interface Snippet {
  /** Where it stands, for what the compiler says of it. */
  readonly name: string;
  readonly code: string;
}

/** Compiles each snippet as a module of its own, with the settings of the project. @returns what the compiler says. */
export function problemsOf(snippets: readonly Snippet[]): readonly string[] {
  const paths = snippets.map(({ code }, number) =>
    join(FOLDER, FILE_NAME.exec(code)?.[1] ?? `snippet-${number + 1}.ts`),
  );
  const files = new Map(paths.map((path, number) => [path, snippets[number]?.code ?? '']));
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
  return paths.flatMap((path, number) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(path))
      .map(
        ({ messageText }) =>
          `${snippets[number]?.name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
      ),
  );
}
