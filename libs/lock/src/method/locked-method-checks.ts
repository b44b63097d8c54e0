import type { ModulesContainer } from '@nestjs/core';
import type { LockModuleOptions } from '../lock-module-options.js';
import { checkCombinations, resolveLockOptions } from '../locking/lock-call-options.js';
import { LockConfigurationError } from '../locking/lock-error.js';
import type { LockStrategies } from '../locking/lock-strategies.js';
import { LockStrategyProvider } from '../locking/lock-strategy.provider.js';
import { setHost } from './host-property.js';
import type { LockHost } from './lock-host.js';
import { lockedMethodsOf, type LockedMethod } from './locked-methods.js';

/** One application, as its locked methods are held against it. */
export interface CheckedApplication {
  readonly modules: ModulesContainer;
  readonly host: LockHost;
  readonly strategies: LockStrategies;
  readonly provider: LockStrategyProvider;
  readonly options: LockModuleOptions;
}

/** Shorter leases are lost to a pause of the garbage collector or a slow network. */
const SHORT_TTL = 1_000;

/**
 * Looks at every provider and controller when the application starts: gives the host to objects that Nest did not make,
 * refuses locked methods that can't work here, and returns warnings about those that may not do what they seem to.
 *
 * @throws {LockConfigurationError} a method asks for a strategy or for transactions that are not there, or one resource
 * is locked by two strategies.
 */
export function checkLockedMethods(application: CheckedApplication): readonly string[] {
  const classes = new Set<object>();
  for (const instanceOrClass of providedBy(application.modules)) {
    const owner = typeof instanceOrClass === 'function' ? instanceOrClass : classOf(instanceOrClass);
    if (!isLockable(owner)) continue;
    if (typeof instanceOrClass === 'object') giveHost(instanceOrClass, application.host);
    for (const ancestor of lineageOf(owner)) classes.add(ancestor);
  }
  for (const provider of factoriesOf(application.modules)) hostWhatItMakes(provider, application.host);

  const methods = [...classes].flatMap((owner) => lockedMethodsOf(owner));
  for (const method of methods) checkAgainst(application, method);
  checkResources(application, methods);
  return [...[...classes].flatMap(lostLocks), ...shortLeases(application, methods)];
}

/** The instances of the application, and the classes of those that are made for each request. */
function* providedBy(modules: ModulesContainer): Iterable<object> {
  for (const wrapper of wrappersOf(modules)) {
    const copies = wrapper.getStaticTransientInstances().map((copy): unknown => copy?.instance);
    const instance: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : wrapper.metatype;
    for (const each of [instance, ...copies]) {
      if ((typeof each === 'object' || typeof each === 'function') && each !== null) yield each;
    }
  }
}

type Wrapper = ReturnType<Module['providers']['get']> & object;
type Module = ReturnType<ModulesContainer['get']> & object;

function* wrappersOf(modules: ModulesContainer): Iterable<Wrapper> {
  for (const { providers, controllers, injectables } of modules.values()) {
    yield* providers.values();
    yield* controllers.values();
    yield* injectables.values();
  }
}

/** Factories that are called again after the start: for a request, or for each who injects what they make. */
function* factoriesOf(modules: ModulesContainer): Iterable<Wrapper> {
  for (const wrapper of wrappersOf(modules)) {
    if (wrapper.isFactory && (wrapper.isTransient || !wrapper.isDependencyTreeStatic())) yield wrapper;
  }
}

/** Nest injects nothing into what a factory makes, and calls the factory that stands here. */
function hostWhatItMakes(provider: Wrapper, host: LockHost): void {
  const factory = provider.metatype as (...dependencies: unknown[]) => unknown;
  provider.metatype = async (...dependencies: unknown[]) => {
    const made: unknown = await factory(...dependencies);
    if (typeof made === 'object' && made !== null && isLockable(classOf(made))) giveHost(made, host);
    return made;
  };
}

function isLockable(owner: unknown): boolean {
  return lineageOf(owner).some((ancestor) => lockedMethodsOf(ancestor).length > 0);
}

function classOf(instance: object): unknown {
  return (Object.getPrototypeOf(instance) as object | null)?.constructor;
}

/** A class and its parents, from the most special to the most general. */
function lineageOf(owner: unknown): readonly LockableClass[] {
  const lineage: LockableClass[] = [];
  for (
    let current = owner;
    typeof current === 'function' && current !== Function.prototype;
    current = Object.getPrototypeOf(current) as unknown
  ) {
    lineage.push(current);
  }
  return lineage;
}

interface LockableClass {
  readonly name: string;
  readonly prototype: object | undefined;
}

/** Also where it has one: a value may come from an application that is closed by now. */
function giveHost(instance: object, host: LockHost): void {
  if (Object.isExtensible(instance)) setHost(instance, host);
}

function checkAgainst({ strategies, options }: CheckedApplication, method: LockedMethod): void {
  const { strategy, transaction } = method.options;
  const together = resolveLockOptions(method.options, options.defaults);
  checkCombinations(together, `${method.label}, together with the defaults of LockModule`);
  if (strategy !== undefined && !strategies.names.includes(strategy)) {
    throw new LockConfigurationError(
      `${method.label} asks for the strategy "${strategy}", and LockModule has ${strategies.names.map((name) => `"${name}"`).join(', ')}. ` +
        `Use one of them, or add it: LockModule.forRoot({ strategies: { ${strategy}: … } }).`,
      { strategy },
    );
  }
  if (transaction !== undefined && transaction !== false && options.transactions === undefined) {
    throw new LockConfigurationError(
      `${method.label} has transaction: ${typeof transaction === 'string' ? `'${transaction}'` : 'true'}, and LockModule has no transactions. ` +
        "Add transactions: typeormTransactions(), from 'nestjs-distributed-lock/typeorm', to LockModule.forRoot({ … }).",
    );
  }
}

function checkResources({ provider }: CheckedApplication, methods: readonly LockedMethod[]): void {
  // A provider of the user's own may need the whole key to choose: only what the methods say is known then.
  const chosenByResource = Object.getPrototypeOf(provider) === LockStrategyProvider.prototype;
  const known = new Map<string, { readonly strategy: string; readonly label: string }>();
  for (const { resources, options, label } of methods) {
    for (const resource of resources) {
      const strategy = options.strategy ?? (chosenByResource ? provider.select(resource) : undefined);
      if (strategy === undefined) continue;
      const other = known.get(resource);
      if (other !== undefined && other.strategy !== strategy) {
        throw new LockConfigurationError(
          `"${resource}" is locked by two strategies, which do not exclude each other: "${other.strategy}" in ${other.label} ` +
            `and "${strategy}" in ${label}. Lock one resource by one strategy, or name what is locked differently.`,
        );
      }
      known.set(resource, { strategy, label });
    }
  }
}

/** Locked methods of parents that a class overrides without a lock. */
function lostLocks(owner: object): readonly string[] {
  const [self, ...parents] = lineageOf(owner);
  const own = new Set(lockedMethodsOf(owner).map(({ propertyKey }) => propertyKey));
  const warnings = new Map<string | symbol, string>();
  for (const { propertyKey, label } of parents.flatMap((parent) => lockedMethodsOf(parent))) {
    if (own.has(propertyKey) || warnings.has(propertyKey)) continue;
    const override: unknown =
      self?.prototype && Object.getOwnPropertyDescriptor(self.prototype, propertyKey)?.value;
    if (typeof override !== 'function' || callsParent(override, propertyKey)) continue;
    warnings.set(
      propertyKey,
      `${self?.name}.${String(propertyKey)} overrides ${label}, which is locked, and has no lock of its own: it runs without one. ` +
        'Decorate it as well, or call super from it.',
    );
  }
  return [...warnings.values()];
}

/** An override that calls the parent's method still takes its lock there. */
function callsParent(override: object, propertyKey: string | symbol): boolean {
  const calls = Function.prototype.toString.call(override).matchAll(/\bsuper\s*(?:\.\s*([\w$]+)|\[)/g);
  return [...calls].some(([, name]) => name === undefined || name === propertyKey);
}

function shortLeases({ options }: CheckedApplication, methods: readonly LockedMethod[]): readonly string[] {
  const places = [
    { where: 'LockModule.forRoot({ defaults })', ttl: options.defaults?.ttl },
    ...methods.map(({ label, options: { ttl } }) => ({ where: label, ttl })),
  ];
  return places
    .filter(({ ttl = SHORT_TTL }) => ttl < SHORT_TTL)
    .map(
      ({ where, ttl }) =>
        `${where} has a ttl of ${ttl} ms: a short pause of the process or the network loses the lock. Take at least ${SHORT_TTL}; ` +
        'ttl is no limit to the work, and is not what others wait for after a release.',
    );
}
