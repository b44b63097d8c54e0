/** A server that Debian ships as a package: no npm package has its binary. */
export interface ServerPackage {
  readonly name: string;
  readonly debianPackage: string;
  /** Any of these in the PATH will do. */
  readonly binaries: readonly string[];
  readonly download: string;
}

export type ServerKind = 'redis' | 'mariadb';

export const SERVER_PACKAGES: Readonly<Record<ServerKind, ServerPackage>> = {
  redis: {
    name: 'Redis',
    debianPackage: 'redis-server',
    binaries: ['redis-server'],
    download: 'https://redis.io/docs/latest/operate/oss_and_stack/install/',
  },
  mariadb: {
    name: 'MariaDB',
    debianPackage: 'mariadb-server',
    binaries: ['mariadbd', 'mysqld'],
    download: 'https://mariadb.org/download/',
  },
};

/** One sentence for who has to get a server by hand. */
export function instructions(kind: ServerKind): string {
  const { name, debianPackage, binaries, download } = SERVER_PACKAGES[kind];
  return (
    `${name} is missing: no "${binaries[0]}" in the PATH. Install it with "apt-get install ${debianPackage}" as root, ` +
    `"brew install ${kind}", or see ${download}.`
  );
}

/** Says how to get the server when its binary was not found; any other error stays as it is. */
export function howToGet(kind: ServerKind, error: unknown): unknown {
  // By its code alone: within jest, Node's own errors are of another realm.
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return isMissing ? new Error(instructions(kind), { cause: error }) : error;
}
