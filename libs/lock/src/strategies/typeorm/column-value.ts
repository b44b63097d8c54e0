import type { DataSource, EntityMetadata } from 'typeorm';

type Column = EntityMetadata['columns'][number];

/** The value in one canonical form, or what is wrong with it. */
export type ValueReading = { readonly value: string } | { readonly problem: string };

export type ColumnValueReader = (text: string) => ValueReading;

/** Whether values of the column are compared as numbers. */
export function isNumberColumn(column: Column): boolean {
  const type = typeName(column);
  return INTEGER_BITS[type] !== undefined || DECIMALS.has(type);
}

/**
 * How to read a segment of a key as a value of a column. The database must never do this: PostgreSQL answers a bad value
 * with an error, MariaDB takes `1abc` for 1 and locks somebody else's row.
 *
 * @returns undefined for a type that no segment can name.
 */
export function columnValueReader(dataSource: DataSource, column: Column): ColumnValueReader | undefined {
  const read = readerOf(typeName(column), column);
  if (read === undefined || column.transformer === undefined) return read;
  return (text) => {
    const reading = read(text);
    if ('problem' in reading) return reading;
    return { value: String(dataSource.driver.preparePersistentValue(reading.value, column)) };
  };
}

function readerOf(type: string, column: Column): ColumnValueReader | undefined {
  const bits = INTEGER_BITS[type];
  if (bits !== undefined) return integer(bits, column.unsigned === true);
  if (DECIMALS.has(type)) return decimal;
  if (type === 'uuid') return uuid;
  if (TEXTS.has(type)) return text;
  if (type === 'enum' || type === 'simple-enum') return oneOf((column.enum ?? []).map(String));
  return undefined;
}

function typeName({ type }: Column): string {
  if (type === Number) return 'integer';
  if (type === String) return 'varchar';
  return typeof type === 'string' ? type : '';
}

const INTEGER_BITS: Readonly<Record<string, number>> = {
  tinyint: 8,
  smallint: 16,
  int2: 16,
  mediumint: 24,
  int: 32,
  integer: 32,
  int4: 32,
  bigint: 64,
  int8: 64,
};

const DECIMALS: ReadonlySet<string> = new Set(['numeric', 'decimal', 'dec', 'fixed']);

const TEXTS: ReadonlySet<string> = new Set([
  'varchar',
  'character varying',
  'char',
  'character',
  'nvarchar',
  'national varchar',
  'nchar',
  'text',
  'citext',
  'tinytext',
  'mediumtext',
  'longtext',
]);

function integer(bits: number, unsigned: boolean): ColumnValueReader {
  const lowest = unsigned ? 0n : -(2n ** BigInt(bits - 1));
  const highest = unsigned ? 2n ** BigInt(bits) - 1n : 2n ** BigInt(bits - 1) - 1n;
  return (text) => {
    if (!/^-?\d{1,20}$/.test(text)) return { problem: `${JSON.stringify(text)} is no integer` };
    const value = BigInt(text);
    if (value >= lowest && value <= highest) return { value: value.toString() };
    return { problem: `${text} is out of the column's range of ${lowest} to ${highest}` };
  };
}

function decimal(text: string): ValueReading {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d{1,64})(?:\.(\d{1,64}))?$/.exec(text) ?? [];
  if (whole === '') return { problem: `${JSON.stringify(text)} is no decimal number` };
  const digits = fraction.replace(/0+$/, '');
  const value = `${whole.replace(/^0+(?=\d)/, '')}${digits === '' ? '' : `.${digits}`}`;
  return { value: value === '0' ? '0' : `${sign}${value}` };
}

function uuid(text: string): ValueReading {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
  return isUuid ? { value: text.toLowerCase() } : { problem: `${JSON.stringify(text)} is no UUID` };
}

function text(text: string): ValueReading {
  return text.includes('\0') ? { problem: 'the value has a NUL character' } : { value: text };
}

function oneOf(values: readonly string[]): ColumnValueReader {
  return (text) =>
    values.includes(text)
      ? { value: text }
      : { problem: `${JSON.stringify(text)} is none of ${values.join(', ')}` };
}
