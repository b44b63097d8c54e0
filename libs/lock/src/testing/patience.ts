import { ContractViolation } from './contract-violation.js';

const POLL = 5;

/** Resolves when the condition holds. */
export async function eventually(
  what: string,
  limit: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > end) throw new ContractViolation(`Waited ${limit} ms in vain: ${what}.`);
    await pause(POLL);
  }
}

/** What the promise resolves to, if it does so in time. */
export async function within<T>(what: string, limit: number, pending: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ContractViolation(`Waited ${limit} ms in vain: ${what}.`)), limit);
  });
  try {
    return await Promise.race([pending, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** For work that has to take a while, and for the gap between two looks; never in the hope that something happens. */
export function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration));
}
