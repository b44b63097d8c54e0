import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** What a query runner or an entity manager belongs to: `connection` in TypeORM 0.3, `dataSource` since. */
export function dataSourceOf(owner: QueryRunner | EntityManager): DataSource {
  const { dataSource } = owner as { readonly dataSource?: DataSource };
  return dataSource ?? owner.connection;
}
