/** What a worker can be asked for: everything goes through messages between processes. */
export type Operations = Readonly<Record<string, (input: never) => Promise<unknown>>>;

export interface Question {
  readonly id: number;
  readonly operation: string;
  readonly input: unknown;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Answers the questions of the process that started this one, and ends with it. */
export function serve(operations: Operations): void {
  process.on('message', ({ id, operation, input }: Question) => {
    void answer(operations, operation, input).then(
      (result) => process.send?.({ id, result } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: sentence(error) } satisfies Answer),
    );
  });
  process.once('disconnect', () => process.exit(0));
}

async function answer(operations: Operations, operation: string, input: unknown): Promise<unknown> {
  const asked = operations[operation];
  if (asked === undefined) throw new Error(`no operation "${operation}"`);
  return asked(input as never);
}

/** The first line of an error: what a table has room for. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.split('\n')[0] ?? text;
}
