import type { DataSource } from 'typeorm';
import type { LockTable } from './dialect.js';
import { LOCK_SEQUENCE, LOCK_TABLE } from './distributed-lock.entity.js';

/** Where the lock table of a data source is: in the schema that the data source names, else where the connection looks. */
export function lockTableOf(dataSource: DataSource): LockTable {
  const { schema } = dataSource.options as { readonly schema?: string };
  const qualified = (name: string): string =>
    [...(schema === undefined ? [] : [schema]), name].map((part) => dataSource.driver.escape(part)).join('.');
  return { path: qualified(LOCK_TABLE), sequence: qualified(LOCK_SEQUENCE) };
}
