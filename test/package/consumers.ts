/** The application that a consumer runs: the file of that name in the folder `consumer`. */
export type Play = 'redis' | 'typeorm' | 'every-entry';

export type Format = 'CommonJS' | 'ESM';

/** How a project looks for modules: settings of tsc, and the formats in which they can be used. */
export interface Resolution {
  readonly name: string;
  readonly module: string;
  readonly moduleResolution: string;
  readonly formats: readonly Format[];
}

const NODENEXT: Resolution = {
  ...{ name: 'nodenext', module: 'nodenext', moduleResolution: 'nodenext' },
  formats: ['CommonJS', 'ESM'],
};
const NODE16: Resolution = { ...NODENEXT, name: 'node16', module: 'node16', moduleResolution: 'node16' };
/** Nest 12 is ESM only, which CommonJS may not import as node16 sees it. */
const NODE16_ESM: Resolution = { ...NODE16, formats: ['ESM'] };
const BUNDLER: Resolution = {
  ...{ name: 'bundler', module: 'es2022', moduleResolution: 'bundler' },
  formats: ['CommonJS', 'ESM'],
};
/** What the starter of Nest 10 has. It does not read `exports`. */
const NODE10: Resolution = {
  ...{ name: 'node10', module: 'commonjs', moduleResolution: 'node10' },
  formats: ['CommonJS'],
};

/** A project of somebody who uses the library. */
export interface Consumer {
  readonly name: string;
  readonly play: Play;
  readonly formats: readonly Format[];
  /** The first one compiles what is run. */
  readonly resolutions: readonly Resolution[];
  readonly dependencies: Readonly<Record<string, string>>;
  /** Packages that must not come along. */
  readonly without: readonly string[];
  /** A test file of the library to run with this project's TypeORM in the place of ours. */
  readonly spec?: string;
}

const NEST_10 = {
  ...{ '@nestjs/common': '^10.0.0', '@nestjs/core': '^10.0.0' },
  ...{ 'reflect-metadata': '^0.2.0', rxjs: '^7.8.0', typescript: '~5.4.0', '@types/node': '^20.0.0' },
};
const NEST_11 = {
  ...{ '@nestjs/common': '^11.0.0', '@nestjs/core': '^11.0.0' },
  ...{ 'reflect-metadata': '^0.2.0', rxjs: '^7.8.0', typescript: '~5.9.0', '@types/node': '^22.0.0' },
};
const NEST_12 = {
  ...{ '@nestjs/common': '^12.0.0', '@nestjs/core': '^12.0.0' },
  ...{ 'reflect-metadata': '^0.2.0', rxjs: '^7.8.0', typescript: '~6.0.0', '@types/node': '^24.0.0' },
};

const NO_TYPEORM = ['typeorm', '@nestjs/typeorm', 'redlock'];
const NO_REDIS = ['ioredis', 'redlock'];

/** Each Nest with Redis alone, with TypeORM alone, and with everything. */
export const CONSUMERS: readonly Consumer[] = [
  {
    name: 'Nest 10, ioredis 5',
    play: 'redis',
    formats: ['CommonJS'],
    resolutions: [NODE10, NODE16, BUNDLER],
    dependencies: { ...NEST_10, ioredis: '^5.4.0' },
    without: NO_TYPEORM,
  },
  {
    name: 'Nest 10, TypeORM 0.3',
    play: 'typeorm',
    formats: ['CommonJS'],
    resolutions: [NODE10, NODE16],
    dependencies: { ...NEST_10, '@nestjs/typeorm': '^10.0.0', typeorm: '~0.3.20', pg: '^8.0.0' },
    without: NO_REDIS,
  },
  {
    name: 'Nest 11, ioredis 6',
    play: 'redis',
    formats: ['CommonJS'],
    resolutions: [NODENEXT, NODE16, BUNDLER],
    dependencies: { ...NEST_11, ioredis: '^6.0.0' },
    without: NO_TYPEORM,
  },
  {
    name: 'Nest 11, TypeORM 1',
    play: 'typeorm',
    formats: ['CommonJS'],
    resolutions: [NODENEXT],
    dependencies: { ...NEST_11, '@nestjs/typeorm': '^11.0.0', typeorm: '^1.0.0', pg: '^8.0.0' },
    without: NO_REDIS,
  },
  {
    name: 'Nest 12, ioredis 6',
    play: 'redis',
    formats: ['CommonJS', 'ESM'],
    resolutions: [NODENEXT, NODE16_ESM, BUNDLER],
    dependencies: { ...NEST_12, ioredis: '^6.0.0' },
    without: NO_TYPEORM,
  },
  {
    name: 'Nest 12, TypeORM 0.3',
    play: 'typeorm',
    formats: ['CommonJS', 'ESM'],
    resolutions: [NODENEXT],
    dependencies: {
      ...NEST_12,
      '@nestjs/typeorm': '^12.0.0',
      typeorm: '^0.3.20',
      pg: '^8.0.0',
      mysql2: '^3.0.0',
    },
    without: NO_REDIS,
    // Every kind of query, on PostgreSQL and MariaDB: TypeORM 0.3 hands them to the driver in other ways.
    spec: 'libs/lock/src/strategies/typeorm/joined-queries.spec.ts',
  },
  {
    name: 'Nest 12, TypeORM 1',
    play: 'typeorm',
    formats: ['CommonJS', 'ESM'],
    resolutions: [NODENEXT],
    dependencies: { ...NEST_12, '@nestjs/typeorm': '^12.0.0', typeorm: '^1.0.0', pg: '^8.0.0' },
    without: NO_REDIS,
  },
  {
    name: 'Nest 12, everything',
    play: 'every-entry',
    formats: ['CommonJS', 'ESM'],
    resolutions: [NODENEXT, NODE16_ESM, BUNDLER],
    dependencies: {
      ...NEST_12,
      ...{ '@nestjs/terminus': '^12.0.0', '@nestjs/typeorm': '^12.0.0', '@opentelemetry/api': '^1.9.0' },
      ...{ ioredis: '^5.4.0', pg: '^8.0.0', redlock: '5.0.0-beta.2', typeorm: '^1.0.0' },
    },
    without: [],
  },
];
