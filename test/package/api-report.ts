import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorMessageCategory } from '@microsoft/api-extractor';
import { ROOT } from './packed-library.js';
import { run } from './program.js';

const LIBRARY = join(ROOT, 'libs/lock');
const REPORTS = join(LIBRARY, 'api');
/** Below the repository, so that the declarations find the packages that they import. */
const BUILD = join(ROOT, 'dist/api');

/**
 * Holds the library's public face against `libs/lock/api`, one report for each entry of the package, and fails where it
 * has changed: `npm run api:check`. Writes the reports with `--write`: `npm run api:write`, to be looked at and committed.
 */
async function main(mode: string | undefined): Promise<void> {
  const writes = mode === '--write';
  await buildDeclarations();
  const changed: string[] = [];
  for (const entry of entries()) {
    const { apiReportChanged } = extract(entry, writes);
    if (apiReportChanged) changed.push(`libs/lock/api/${entry.report}`);
  }
  if (writes) return print(changed.length === 0 ? 'Nothing has changed.' : `Written: ${changed.join(', ')}`);
  print(`${entries().length - changed.length} passed, ${changed.length} failed`);
  if (changed.length === 0) return;
  process.exitCode = 1;
  print(
    `The public face has changed: ${changed.join(', ')}.\nIf that is meant: npm run api:write, look at the ` +
      'difference, commit it, and say in a change set (npx changeset) what it means to users.',
  );
}

interface Entry {
  /** The file with its declarations, below the build's folder. */
  readonly types: string;
  readonly report: string;
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly import: { readonly types: string } }>>;
}

function entries(): readonly Entry[] {
  const { exports } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8')) as Manifest;
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string'
      ? []
      : [
          {
            types: target.import.types,
            report: `${path === '.' ? 'index' : path.slice('./'.length)}.api.md`,
          },
        ],
  );
}

async function buildDeclarations(): Promise<void> {
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  cpSync(join(LIBRARY, 'package.json'), join(BUILD, 'package.json'));
  const options = ['--emitDeclarationOnly', '--outDir', join(BUILD, 'dist/esm')];
  await run({
    file: process.execPath,
    args: [require.resolve('typescript/bin/tsc'), '-p', join(LIBRARY, 'tsconfig.esm.json'), ...options],
    cwd: ROOT,
    limit: 300_000,
  });
}

function extract({ types, report }: Entry, writes: boolean) {
  const entry = join(BUILD, types);
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: BUILD,
      mainEntryPointFilePath: entry,
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            ...{ module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', strict: true },
            ...{ lib: ['es2023', 'esnext.disposable'], types: ['node'], skipLibCheck: true },
          },
          files: [entry],
        },
      },
      apiReport: {
        enabled: true,
        reportFolder: REPORTS,
        reportTempFolder: join(BUILD, 'reports'),
        reportFileName: report,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      // The report is of names and types. The words are TypeDoc's matter.
      messages: {
        extractorMessageReporting: { default: { logLevel: 'none' as never } },
        tsdocMessageReporting: { default: { logLevel: 'none' as never } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(BUILD, 'package.json'),
  });
  return Extractor.invoke(config, {
    localBuild: writes,
    messageCallback: (message) => {
      message.handled = message.category !== ExtractorMessageCategory.Compiler;
    },
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

main(process.argv[2]).catch((error: unknown) => {
  process.exitCode = 1;
  print(error instanceof Error ? error.message : String(error));
});
