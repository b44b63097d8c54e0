/** A strategy broke a promise of the contract. */
export class ContractViolation extends Error {
  constructor(
    promise: string,
    readonly facts?: unknown,
  ) {
    super(facts === undefined ? promise : `${promise}\n${JSON.stringify(facts, undefined, 2)}`);
    this.name = 'ContractViolation';
  }
}

/** @throws {ContractViolation} the promise does not hold. */
export function promise(text: string, holds: boolean, facts?: unknown): asserts holds {
  if (!holds) throw new ContractViolation(text, facts);
}

/** @throws {ContractViolation} the two differ. */
export function promiseEqual(text: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new ContractViolation(text, { expected, actual });
}
