/** Belong to a function's own body; everything else may be carried over. */
const OWN_TO_EACH = new Set<string | symbol>(['prototype', 'arguments', 'caller']);

/**
 * Makes a function look like the one that it stands for: name, length, own properties and Reflect metadata, so that
 * `@Get`, `@Cron`, `@OnEvent` or a guard below find what they left.
 */
export function copyFunctionMetadata(from: object, to: object): void {
  for (const key of Reflect.ownKeys(from)) {
    const descriptor = Reflect.getOwnPropertyDescriptor(from, key);
    if (descriptor !== undefined && !OWN_TO_EACH.has(key)) Object.defineProperty(to, key, descriptor);
  }
  for (const key of Reflect.getOwnMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, from), to);
  }
}
