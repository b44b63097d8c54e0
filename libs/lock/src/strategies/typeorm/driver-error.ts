/** The driver's code of an error, also of one that TypeORM has wrapped: `55P03`, `ECONNREFUSED`; empty when it has none. */
export function errorCode(error: unknown): string {
  const { code, errno, driverError } = (error ?? {}) as {
    readonly code?: unknown;
    readonly errno?: unknown;
    readonly driverError?: unknown;
  };
  if (typeof code === 'string') return code;
  if (typeof errno === 'number') return String(errno);
  return driverError === undefined ? '' : errorCode(driverError);
}

/** The number of an error of MariaDB's, also of one that TypeORM has wrapped: 1205; 0 when it has none. */
export function errorNumber(error: unknown): number {
  const { errno, driverError } = (error ?? {}) as {
    readonly errno?: unknown;
    readonly driverError?: unknown;
  };
  if (typeof errno === 'number') return errno;
  return driverError === undefined ? 0 : errorNumber(driverError);
}

/** What to say about an error of a driver. Some, such as those of several addresses, have no message of their own. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || errorCode(error) || error.name;
}

/** The driver's own error, where TypeORM has wrapped it. */
export function unwrapped(error: unknown): Readonly<Record<string, unknown>> {
  const { driverError } = (error ?? {}) as { readonly driverError?: unknown };
  return driverError === undefined ? ((error ?? {}) as Record<string, unknown>) : unwrapped(driverError);
}
