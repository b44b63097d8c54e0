import { DataSource, type DataSourceOptions } from 'typeorm';

/**
 * One connection to a data source's database beside its pool, for what can't wait until the pool has one to spare. It is
 * made when it is needed, and ends when it was not for a while.
 */
export class SideDoor {
  private opened: Promise<DataSource> | undefined;
  private users = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly front: DataSource) {}

  /** Works with a data source of one connection. */
  async use<T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> {
    clearTimeout(this.timer);
    this.users += 1;
    try {
      return await work(await this.open());
    } finally {
      this.users -= 1;
      if (this.users === 0) this.timer = setTimeout(() => this.close(), UNUSED_LIMIT).unref();
    }
  }

  close(): void {
    clearTimeout(this.timer);
    const { opened } = this;
    this.opened = undefined;
    opened?.then((dataSource) => dataSource.destroy()).catch(() => undefined);
  }

  private open(): Promise<DataSource> {
    this.opened ??= new DataSource(besideOptions(this.front.options)).initialize();
    const { opened } = this;
    opened.catch(() => {
      if (this.opened === opened) this.opened = undefined;
    });
    return opened;
  }
}

/** Milliseconds. */
const UNUSED_LIMIT = 10_000;

/** The same database and user, with one connection, and nothing of what belongs to the application. */
function besideOptions(options: DataSourceOptions): DataSourceOptions {
  const { replication, extra, ...own } = options as unknown as PooledOptions;
  const beside = {
    ...own,
    ...replication?.master,
    extra: Object.fromEntries(Object.entries(extra ?? {}).filter(([name]) => !SIZES.has(name))),
    poolSize: 1,
    entities: [],
    subscribers: [],
    migrations: [],
    synchronize: false,
    dropSchema: false,
    migrationsRun: false,
    cache: false,
  };
  return beside as unknown as DataSourceOptions;
}

/** What sets the size of a pool of `pg` or `mysql2`, and would win against TypeORM's `poolSize`. */
const SIZES: ReadonlySet<string> = new Set(['max', 'min', 'connectionLimit']);

/** What differs from database to database. */
interface PooledOptions {
  readonly replication?: { readonly master: object };
  readonly extra?: Readonly<Record<string, unknown>>;
}
