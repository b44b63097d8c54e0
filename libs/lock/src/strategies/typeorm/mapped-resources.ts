import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import { LockConfigurationError, LockKeyError } from '../../locking/lock-error.js';
import { resourceOf, unescapeSegment } from '../../locking/lock-name.js';
import { columnValueReader, type ColumnValueReader, isNumberColumn } from './column-value.js';
import type { LockedRow, RowLockMode } from './dialect.js';

/** The row that a key locks: of this entity, by its primary key or by another unique column. */
export interface MappedResource {
  readonly entity: EntityTarget<ObjectLiteral>;
  /**
   * The property whose value stands in the key.
   *
   * @defaultValue the primary key
   */
  readonly by?: string;
  /**
   * How the row is locked. `'pessimistic_write'` is `SELECT … FOR UPDATE`, which also keeps others from inserting rows
   * that refer to this one. `'for_no_key_update'` (PostgreSQL only) lets them.
   *
   * @defaultValue 'pessimistic_write'
   */
  readonly mode?: RowLockMode;
}

/** What is locked by the first segment of a key: `stock:42` is the `Stock` with the primary key 42. */
export type MappedResources = Readonly<Record<string, EntityTarget<ObjectLiteral> | MappedResource>>;

/** A lock that is the row of an entity. */
export interface RowTarget {
  readonly row: LockedRow;
  /** One name for one row, however the value was written: `stock:042` is `stock:42`. */
  readonly canonicalName: string;
}

/** The rows that keys stand for. */
export class MappedRows {
  private readonly resources = new Map<string, RowSource>();

  /**
   * @throws {LockConfigurationError} an entity is not the data source's, or can't be found by one value.
   */
  constructor(
    private readonly strategy: string,
    dataSource: DataSource,
    resources: MappedResources,
  ) {
    for (const [resource, mapped] of Object.entries(resources)) {
      this.resources.set(resource, this.sourceOf(dataSource, resource, asMappedResource(mapped)));
    }
  }

  /**
   * The row that a name stands for, or undefined when its resource is not mapped.
   *
   * @throws {LockKeyError} the key has not exactly one segment after the resource, or one that the column can't hold.
   */
  targetOf(name: string): RowTarget | undefined {
    const resource = resourceOf(name);
    const source = this.resources.get(resource);
    if (source === undefined) return undefined;
    const segments = name.split(':').slice(1);
    const [segment] = segments;
    if (segments.length !== 1 || segment === undefined || segment === '') {
      throw this.badKey(name, source, `it must be "${resource}:<${source.property}>"`);
    }
    const reading = source.read(unescapeSegment(segment));
    if ('problem' in reading) throw this.badKey(name, source, reading.problem);
    const { tablePath, column, mode, isNumber } = source;
    return {
      row: { tablePath, column, mode, isNumber, value: reading.value },
      canonicalName: `${resource}:${reading.value}`,
    };
  }

  private sourceOf(
    dataSource: DataSource,
    resource: string,
    { entity, by, mode = 'pessimistic_write' }: MappedResource,
  ): RowSource {
    if (!dataSource.hasMetadata(entity)) {
      throw this.misconfigured(resource, `${nameOf(entity)} is no entity of this data source`);
    }
    const metadata = dataSource.getMetadata(entity);
    if (mode === 'for_no_key_update' && dataSource.options.type !== 'postgres') {
      throw this.misconfigured(resource, "mode: 'for_no_key_update' exists on PostgreSQL only");
    }
    const column = by === undefined ? metadata.primaryColumns[0] : metadata.findColumnWithPropertyPath(by);
    if (by === undefined && metadata.primaryColumns.length !== 1) {
      throw this.misconfigured(
        resource,
        `${metadata.name} has a primary key of ${metadata.primaryColumns.length} columns, and one value must find the row: name a unique property with { entity, by }`,
      );
    }
    if (column === undefined) {
      throw this.misconfigured(resource, `${metadata.name} has no property "${by}"`);
    }
    if (!isUnique(metadata, column)) {
      throw this.misconfigured(
        resource,
        `${metadata.name}.${column.propertyPath} is not unique: make it a unique column, or lock by the primary key`,
      );
    }
    const read = columnValueReader(dataSource, column);
    if (read === undefined) {
      throw this.misconfigured(
        resource,
        `${metadata.name}.${column.propertyPath} is a column of type ${String(column.type)}, which no segment of a key can name: ` +
          'integers, numbers, strings, UUIDs and enums can',
      );
    }
    const escape = (name: string): string => dataSource.driver.escape(name);
    return {
      entity: metadata.name,
      property: column.propertyPath,
      tablePath: metadata.tablePath.split('.').map(escape).join('.'),
      column: escape(column.databaseName),
      mode,
      isNumber: isNumberColumn(column),
      read,
    };
  }

  private badKey(name: string, { entity, property }: RowSource, problem: string): LockKeyError {
    return new LockKeyError(
      `The key "${name}" locks a row of ${entity} by its ${property}, but ${problem}. Check the value before it is locked.`,
      { key: name, strategy: this.strategy },
    );
  }

  private misconfigured(resource: string, problem: string): LockConfigurationError {
    return new LockConfigurationError(
      `resources: { ${resource}: … } of typeormLock() can't work: ${problem}.`,
      {
        strategy: this.strategy,
      },
    );
  }
}

interface RowSource extends Omit<LockedRow, 'value'> {
  readonly entity: string;
  readonly property: string;
  readonly read: ColumnValueReader;
}

function asMappedResource(mapped: MappedResources[string]): MappedResource {
  return isMappedResource(mapped) ? mapped : { entity: mapped };
}

function isMappedResource(mapped: MappedResources[string]): mapped is MappedResource {
  return typeof mapped === 'object' && 'entity' in mapped;
}

function isUnique(metadata: EntityMetadata, column: EntityMetadata['columns'][number]): boolean {
  if (column.isPrimary && metadata.primaryColumns.length === 1) return true;
  const only = (columns: EntityMetadata['columns']): boolean => columns.length === 1 && columns[0] === column;
  return (
    metadata.uniques.some((unique) => only(unique.columns)) ||
    metadata.indices.some((index) => index.isUnique && index.where === undefined && only(index.columns))
  );
}

function nameOf(entity: EntityTarget<ObjectLiteral>): string {
  if (typeof entity === 'string') return `"${entity}"`;
  if (typeof entity === 'function') return entity.name;
  return 'what it names';
}
