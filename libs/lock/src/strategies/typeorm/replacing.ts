/**
 * An object that is the given one, but for a few methods. Every other method works on the given one itself: drivers keep
 * their state in fields, and a copy would have its own.
 */
export function replacing<T extends object>(original: T, methods: Readonly<Record<string, unknown>>): T {
  return new Proxy(original, {
    get(target, name) {
      if (typeof name === 'string' && Object.hasOwn(methods, name)) return methods[name];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
