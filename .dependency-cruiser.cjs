/** Which way imports may point inside the library, types included. CONTRIBUTING.md draws it. `npm run lint:imports` */
const SRC = '^libs/lock/src';
const SPEC = '[.]spec[.]ts$';

/** What everybody who installs the library has. */
const ALWAYS_THERE = 'node_modules/(acorn|rxjs|reflect-metadata|@nestjs/(common|core))/';

/** The optional packages, and the one folder that may import each. */
const OPTIONAL = [
  { folder: 'strategies/redis', packages: ['ioredis'] },
  { folder: 'strategies/redlock', packages: ['ioredis', 'redlock'] },
  { folder: 'strategies/typeorm', packages: ['typeorm', '@nestjs/typeorm'] },
  { folder: 'opentelemetry', packages: ['@opentelemetry/api'] },
  { folder: 'terminus', packages: ['@nestjs/terminus'] },
  { folder: 'cli', packages: ['ioredis'] },
];

const optionalPackages = OPTIONAL.map(({ folder, packages }) => ({
  name: `only-own-packages-in-${folder.replace('/', '-')}`,
  comment: `${folder} imports what everybody has, and ${packages.join(', ')}: another optional package may be missing.`,
  severity: 'error',
  from: { path: `${SRC}/${folder}/`, pathNot: SPEC },
  to: {
    path: 'node_modules/',
    pathNot: [ALWAYS_THERE, `node_modules/(${packages.join('|')})/`],
  },
}));

const folders = OPTIONAL.map(({ folder }) => folder).join('|');

module.exports = {
  forbidden: [
    {
      name: 'locking-looks-nowhere',
      comment: 'locking is the core: it knows no strategy, no HTTP, no decorator and no module.',
      severity: 'error',
      from: { path: `${SRC}/locking/`, pathNot: SPEC },
      to: { path: SRC, pathNot: `${SRC}/locking/` },
    },
    {
      name: 'strategies-look-at-locking-only',
      comment: 'A strategy meets the rest at locking/lock-strategy.ts, and knows no other strategy.',
      severity: 'error',
      from: { path: `${SRC}/strategies/([^/]+)/`, pathNot: SPEC },
      to: { path: SRC, pathNot: `${SRC}/(locking|strategies/$1)/` },
    },
    {
      name: 'edges-look-at-locking-only',
      comment: 'Instrumentation and health see what locking tells, of whatever strategy.',
      severity: 'error',
      from: { path: `${SRC}/(opentelemetry|terminus)/`, pathNot: SPEC },
      to: { path: SRC, pathNot: `${SRC}/(locking|$1)/` },
    },
    {
      name: 'method-knows-no-http',
      comment: 'The decorator works without HTTP. Of the module it knows only the type of its options.',
      severity: 'error',
      from: { path: `${SRC}/method/`, pathNot: SPEC },
      to: { path: SRC, pathNot: [`${SRC}/(locking|method)/`, `${SRC}/lock-module-options[.]ts$`] },
    },
    {
      name: 'http-knows-no-module',
      comment: 'http looks at the decorator and at locking.',
      severity: 'error',
      from: { path: `${SRC}/http/`, pathNot: SPEC },
      to: { path: SRC, pathNot: `${SRC}/(locking|method|http)/` },
    },
    {
      name: 'cli-looks-at-redis-and-locking-only',
      comment: 'The command is thin: what it does is done by the strategy, without an application around it.',
      severity: 'error',
      from: { path: `${SRC}/cli/`, pathNot: SPEC },
      to: { path: SRC, pathNot: `${SRC}/(locking|strategies/redis/index|cli)` },
    },
    {
      name: 'nobody-needs-testing',
      comment: 'Nothing that runs in production imports what is there for tests.',
      severity: 'error',
      from: { path: SRC, pathNot: [SPEC, `${SRC}/testing/`] },
      to: { path: [`${SRC}/testing/`, SPEC] },
    },
    {
      name: 'nobody-needs-the-command',
      comment: 'It is a program, and reads arguments and a terminal.',
      severity: 'error',
      from: { path: SRC, pathNot: [SPEC, `${SRC}/cli/`] },
      to: { path: `${SRC}/cli/` },
    },
    {
      name: 'module-knows-memory-only',
      comment: 'The main entry loads nothing that an optional package is needed for.',
      severity: 'error',
      from: { path: `${SRC}/[^/]+[.]ts$`, pathNot: SPEC },
      to: { path: `${SRC}/(${folders})/` },
    },
    {
      name: 'stays-inside',
      comment: 'The library is published without the rest of this repository.',
      severity: 'error',
      from: { path: SRC, pathNot: SPEC },
      to: { path: '^(test|src|demo|bench)/' },
    },
    {
      name: 'no-optional-package-in-the-core',
      comment: 'Only what everybody has who installs the library.',
      severity: 'error',
      from: { path: SRC, pathNot: [SPEC, `${SRC}/(${folders})/`] },
      to: { path: 'node_modules/', pathNot: ALWAYS_THERE },
    },
    ...optionalPackages,
    {
      name: 'everything-resolves',
      severity: 'error',
      from: { path: SRC },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['module-sync', 'import', 'require', 'node', 'default', 'types'],
    },
  },
};
