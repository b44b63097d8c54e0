import { Cluster, type RedisOptions } from 'ioredis';
import { redisLock } from '../strategies/redis/index.js';
import type { LockStrategy } from '../locking/lock-strategy.js';
import type { PlaceOptions } from './command-line.js';

type RedisLockOptions = Parameters<typeof redisLock>[0];

/** The strategy of applications that keep their locks there, without an application. */
export function strategyAt(place: PlaceOptions, sentinelPassword: string | undefined): LockStrategy {
  const { prefix } = place;
  const factory = redisLock({
    ...where(place, sentinelPassword),
    ...(prefix === undefined ? {} : { prefix }),
  });
  return factory({
    strategy: 'default',
    get: () => {
      throw new Error('There is no application here.');
    },
  });
}

/** The hosts, without what may be secret. */
export function addressesOf({ urls }: PlaceOptions): string {
  return urls.map((url) => new URL(url).host).join(', ');
}

function where({ urls, cluster, sentinel }: PlaceOptions, sentinelPassword?: string): RedisLockOptions {
  const [url = ''] = urls;
  if (sentinel !== undefined) {
    const tls = isTls(url) ? { tls: {}, enableTLSForSentinelMode: true } : {};
    const sentinels = urls.map((each) => nodeOf(each, 26_379));
    return { options: { ...login(url), ...tls, sentinels, name: sentinel, sentinelPassword } };
  }
  if (!cluster) return { url };
  const { username, password } = login(url);
  const tls = isTls(url) ? { tls: {} } : {};
  const nodes = urls.map((each) => nodeOf(each, 6_379));
  return {
    client: new Cluster(nodes, {
      // It is never used itself: the strategy makes its own after this pattern.
      lazyConnect: true,
      redisOptions: { username, password, ...tls },
      // Certificates are for names, and a lookup would leave addresses.
      ...(isTls(url) ? { dnsLookup: (address, found) => found(null, address) } : {}),
    }),
  };
}

function nodeOf(url: string, standardPort: number): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? standardPort : Number(port) };
}

function login(url: string): Pick<RedisOptions, 'username' | 'password' | 'db'> {
  const { username, password, pathname } = new URL(url);
  return {
    username: username === '' ? undefined : decodeURIComponent(username),
    password: password === '' ? undefined : decodeURIComponent(password),
    db: Number(pathname.slice(1)) || 0,
  };
}

function isTls(url: string): boolean {
  return url.startsWith('rediss:');
}
