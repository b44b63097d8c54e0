import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LockTraits } from 'nestjs-distributed-lock';
import { CONTRACT_CASES } from 'nestjs-distributed-lock/testing';
import { FAULT_SUBJECTS } from '../fault/subjects';
import { type RegisteredTest, registeredBy } from './registered-tests';

const STRATEGIES = join(__dirname, '../../libs/lock/src/strategies');
const ROUNDS = join(__dirname, '../fault/rounds');

const IN_REDIS: LockTraits = { scope: 'shared', order: 'strict', fencing: true };
const IN_QUORUM: LockTraits = { scope: 'shared', order: 'none', fencing: false };
const IN_DATABASE: LockTraits = { scope: 'shared', order: 'process', fencing: true };

/** What has to be tried, as jest calls it, with the traits that say by which cases. */
const CONTRACTS: readonly (readonly [group: string, traits: LockTraits])[] = [
  ['the contract of memoryLock', { scope: 'process', order: 'strict', fencing: true }],
  ['the contract of redisLock on one Redis', IN_REDIS],
  ['the contract of redisLock with a client of ioredis 5', IN_REDIS],
  ['with a connection of our own the contract of redisLock behind Sentinel', IN_REDIS],
  ['with a client of ioredis 5 the contract of redisLock behind Sentinel', IN_REDIS],
  ['with a client of ioredis 6 the contract of redisLock in a Cluster', IN_REDIS],
  ['with a client of ioredis 5 the contract of redisLock in a Cluster', IN_REDIS],
  ['the contract of quorumLock on three masters', IN_QUORUM],
  ['the contract of quorumLock on three masters, one of them frozen', IN_QUORUM],
  ['the contract of quorumLock on five masters, two of them dead', IN_QUORUM],
  ['the contract of typeormLock on PostgreSQL', IN_DATABASE],
  ['the contract of typeormLock on MariaDB', IN_DATABASE],
];

/** By the names that they have in the subjects of the rounds. */
const STORES = ['memory', 'redis', 'cluster', 'sentinel', 'quorum', 'postgres', 'mariadb'];

const strategies = readdirSync(STRATEGIES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => factoryOf(name));

describe('the contract suite', () => {
  let tests: readonly RegisteredTest[];

  beforeAll(() => (tests = registeredBy(specsIn(__dirname, '.contract.spec.ts'))));

  it.each(CONTRACTS)('is run with every case: %s', (group, traits) => {
    const cases = CONTRACT_CASES.filter(({ appliesTo }) => appliesTo(traits)).map(({ title }) => title);
    expect(titlesWithin(group, tests)).toEqual(expect.arrayContaining(cases));
  });

  it('is run on every strategy of the library', () => {
    expect(strategies.length).toBeGreaterThan(0);
    expect(withoutSubject(strategies, subjectsOf(tests))).toEqual([]);
  });

  it('is missed where a strategy is not tried', () => {
    expect(withoutSubject(['memoryLock', 'etcdLock'], subjectsOf(tests))).toEqual(['etcdLock']);
  });
});

describe('the rounds of faults', () => {
  let tests: readonly RegisteredTest[];

  beforeAll(() => (tests = registeredBy(specsIn(ROUNDS, '.fault.spec.ts'))));

  it.each(STORES)('are run on the store: %s', (store) => {
    const titles = titlesWithin(`${FAULT_SUBJECTS[store]?.name} under faults`, tests);
    expect(titles).toContainEqual(expect.stringMatching(/^keeps exclusion, tokens, order and progress/));
  });

  it('have a subject for every strategy of the library', () => {
    const subjects = Object.values(FAULT_SUBJECTS).map(({ name }) => name);
    expect(withoutSubject(strategies, subjects)).toEqual([]);
  });
});

function specsIn(folder: string, ending: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));
}

/** The name of the function that makes the strategy: the one export of its folder that is called so. */
function factoryOf(folder: string): string {
  const [, name] =
    /export \{ (\w+Lock)\b/.exec(readFileSync(join(STRATEGIES, folder, 'index.ts'), 'utf8')) ?? [];
  return name ?? `a factory in strategies/${folder}`;
}

function titlesWithin(group: string, tests: readonly RegisteredTest[]): readonly string[] {
  return tests.filter(({ within }) => within.join(' ').endsWith(group)).map(({ title }) => title);
}

function subjectsOf(tests: readonly RegisteredTest[]): readonly string[] {
  return tests.map(({ within }) => (within.at(-1) ?? '').replace('the contract of ', ''));
}

/** Strategies that none of the subjects is named after. */
function withoutSubject(factories: readonly string[], subjects: readonly string[]): readonly string[] {
  return factories.filter((factory) => !subjects.some((subject) => subject.split(' ')[0] === factory));
}
