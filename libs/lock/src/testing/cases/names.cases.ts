import type { Arena } from '../arena.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promiseEqual } from '../contract-violation.js';

/** The longest name that every strategy has to take, in bytes. */
const LONGEST = 1_024;

export const namesCases: readonly ContractCase[] = [
  {
    title: 'locks names of any characters and of any length up to 1 024 bytes',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      for (const name of unusualNames(arena)) {
        const grant = await holder.acquire(name);
        promiseEqual(`"${name}" is busy for others`, await other.probe(name), 'LOCK_BUSY');
        await grant.release();
        promiseEqual(`"${name}" is free again`, await other.probe(name), 'granted');
      }
    },
  },
  {
    title: 'takes no two names for one, however alike they are',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      for (const [one, another] of confusableNames(arena)) {
        const grant = await holder.acquire(one);
        promiseEqual(`"${another}" is free while "${one}" is held`, await other.probe(another), 'granted');
        await grant.release();
      }
    },
  },
];

function unusualNames(arena: Arena): readonly string[] {
  const key = arena.key('name');
  return [
    filled(key, 1_000),
    filled(key, LONGEST),
    `${key}:Grüße, 東京, מזל טוב, 👩‍👩‍👧`,
    `${key}:{braces}:{more}`,
    `{${key}}`,
    `${key}::colons::`,
    `${key}:with spaces and 'quotes' "double" \`back\``,
    `${key}:50%_off;--\\n$1?*[a-z]`,
    `${key}:%3A%00`,
    `${key}:__proto__`,
  ];
}

function confusableNames(arena: Arena): readonly (readonly [string, string])[] {
  const key = arena.key('alike');
  const long = filled(key, LONGEST - 1);
  return [
    [`${key}:case`, `${key}:CASE`],
    [`${key}:end`, `${key}:end `],
    [`${key}:1`, `${key}:01`],
    [`${key}:{1}`, `${key}:1`],
    [`${key}:a`, `${key}:a:a`],
    [`${key}:%3A`, `${key}::`],
    // One letter in two ways of writing, which look the same.
    [`${key}:\u00e9`, `${key}:e\u0301`],
    [`${long}1`, `${long}2`],
  ];
}

function filled(start: string, length: number): string {
  return start.padEnd(length, 'x');
}
