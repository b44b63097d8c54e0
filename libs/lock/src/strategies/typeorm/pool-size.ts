import type { DataSource } from 'typeorm';

/** How many connections the data source's pool has at most, as `pg` and `mysql2` read the options. */
export function poolSize(dataSource: DataSource): number {
  const { poolSize, extra } = dataSource.options as {
    readonly poolSize?: number;
    readonly extra?: { readonly max?: number; readonly connectionLimit?: number };
  };
  return extra?.max ?? extra?.connectionLimit ?? poolSize ?? DEFAULT_SIZE;
}

/** The default of both drivers. */
const DEFAULT_SIZE = 10;
