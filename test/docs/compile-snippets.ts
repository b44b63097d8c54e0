import { join } from 'node:path';
import * as ts from 'typescript';
import { ROOT, SNIPPET_FOLDER, type Snippet } from './page';

/** Compiles each snippet as a module of its own, with the settings of the project. @returns what the compiler says. */
export function problemsOf(snippets: readonly Snippet[]): readonly string[] {
  const paths = snippets.map(({ file }, number) => join(SNIPPET_FOLDER, file ?? `snippet-${number + 1}.ts`));
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
