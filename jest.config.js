/** One configuration for every test: swc compiles the sources and Nest's ESM packages to CommonJS. */
const swc = [
  '@swc/jest',
  {
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      target: 'es2022',
      keepClassNames: true,
    },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

module.exports = {
  rootDir: __dirname,
  roots: ['<rootDir>/libs', '<rootDir>/src', '<rootDir>/test'],
  testRegex: '\\.spec\\.ts$',
  globalSetup: '<rootDir>/test/support/servers/global-setup.ts',
  testEnvironment: '<rootDir>/test/support/servers/server-environment.ts',
  transform: { '^.+\\.(t|j|mj)s$': swc },
  transformIgnorePatterns: ['/node_modules/(?!@nestjs/|(?:.*/)?content-disposition/)'],
  moduleNameMapper: {
    '^nestjs-distributed-lock$': '<rootDir>/libs/lock/src/index.ts',
    '^nestjs-distributed-lock/(redis|redlock|typeorm)$': '<rootDir>/libs/lock/src/strategies/$1/index.ts',
    '^nestjs-distributed-lock/(testing|opentelemetry|terminus)$': '<rootDir>/libs/lock/src/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  reporters: ['default', '<rootDir>/test/support/closing-line.reporter.js'],
  testTimeout: 30_000,
  // Most tests wait for servers more than they compute: three on two cores.
  maxWorkers: 3,
  coverageProvider: 'v8',
};
