import { DistributedLock, ExclusiveJob } from 'nestjs-distributed-lock';

class Stock {
  readonly id: number = 0;
}

/** Compiled by the type check: a line without the expected error fails it, as does an error that is not expected. */
export class Accepted {
  @DistributedLock('stock:<id>')
  async byTemplate(id: number): Promise<number> {
    return id;
  }

  @DistributedLock(['stock:<from>', 'stock:<to>'])
  async bySeveral(from: number, to: number): Promise<number> {
    return from + to;
  }

  @DistributedLock((id: number) => `stock:${id}`)
  async byNarrowerFunction(id: number, quantity: number): Promise<number> {
    return id + quantity;
  }

  @DistributedLock((id: number | string, ..._rest: unknown[]) => [`stock:${id}`])
  async byWiderFunction(id: number, quantity?: number): Promise<number> {
    return id + (quantity ?? 0);
  }

  @DistributedLock((id?: number) => `stock:${id ?? 'all'}`)
  async byFunctionOfAnOptional(id?: number): Promise<number | undefined> {
    return id;
  }

  @DistributedLock(() => 'stock')
  async byFunctionOfNothing(_id: number): Promise<void> {}

  @DistributedLock('stock:<0>', { whenBusy: 'skip' })
  async skippedVoid(_id: number): Promise<void> {}

  @DistributedLock('stock:<0>', { whenBusy: 'skip' })
  async skippedMaybe(_id: number): Promise<Stock | undefined> {
    return undefined;
  }

  @DistributedLock('stock:<id>', { whenBusy: (error, id: number) => id + error.waited })
  async answered(id: number, quantity: number): Promise<number> {
    return id + quantity;
  }

  @DistributedLock('stock:<0>', { whenBusy: async () => null, waitTime: 0 })
  async answeredLater(_id: number): Promise<Stock | null> {
    return null;
  }

  @DistributedLock('stock:<order.id>')
  async generic<T extends Stock>(order: T): Promise<T> {
    return order;
  }

  @DistributedLock('stock')
  private async hidden(): Promise<void> {}

  @ExclusiveJob('settle', { holdAtLeast: 30_000 })
  async job(): Promise<void> {}

  useHidden(): Promise<void> {
    return this.hidden();
  }
}

/** Never made: every member is refused by the compiler. */
export const refused = () =>
  class Refused {
    // @ts-expect-error a locked method must return a Promise
    @DistributedLock('stock:<id>')
    notAsync(id: number): number {
      return id;
    }

    // @ts-expect-error a generator returns no Promise
    @DistributedLock('stock')
    async *generator(): AsyncGenerator<number> {
      yield 1;
    }

    // @ts-expect-error the argument may be undefined, and the function does not take that
    @DistributedLock((id: number) => `stock:${id}`)
    async optional(_id?: number): Promise<void> {}

    // @ts-expect-error a number is no string
    @DistributedLock((id: string) => `stock:${id}`)
    async otherType(_id: number): Promise<void> {}

    // @ts-expect-error the method has one argument
    @DistributedLock((id: number, warehouse: number) => `stock:${id}:${warehouse}`)
    async tooMany(_id: number): Promise<void> {}

    // @ts-expect-error without a type the parameter can't be checked
    @DistributedLock((id) => `stock:${String(id)}`)
    async untyped(_id: number): Promise<void> {}

    // @ts-expect-error a key is a string
    @DistributedLock((id: number) => id)
    async numericKey(_id: number): Promise<void> {}

    // @ts-expect-error a skipped call resolves to undefined
    @DistributedLock('stock:<id>', { whenBusy: 'skip' })
    async skipped(id: number): Promise<number> {
      return id;
    }

    // @ts-expect-error a job that is skipped resolves to undefined
    @ExclusiveJob('settle')
    async job(): Promise<number> {
      return 1;
    }

    // @ts-expect-error the method answers with a number
    @DistributedLock('stock:<id>', { whenBusy: () => 'busy' })
    async otherAnswer(id: number): Promise<number> {
      return id;
    }

    // @ts-expect-error an argument of the method is a number
    @DistributedLock('stock:<id>', { whenBusy: (_error, id: string) => id.length })
    async otherArgument(id: number): Promise<number> {
      return id;
    }

    // @ts-expect-error there is no such option
    @DistributedLock('stock:<id>', { waittime: 3 })
    async misspelt(_id: number): Promise<void> {}

    // @ts-expect-error an accessor is no method
    @DistributedLock('stock')
    get accessor(): Promise<void> {
      return Promise.resolve();
    }

    // @ts-expect-error an arrow function belongs to each instance, where a decorator can't reach it
    @DistributedLock('stock')
    arrow = async (): Promise<void> => {};

    // @ts-expect-error a generator returns no Promise
    @DistributedLock('stock')
    *plainGenerator(): Generator<number> {
      yield 1;
    }

    // @ts-expect-error a static method belongs to no application
    @DistributedLock('stock')
    static async ofTheClass(): Promise<void> {}
  };

describe('the types of the decorator', () => {
  it('accept what can be locked', () => {
    expect(new Accepted()).toBeInstanceOf(Accepted);
  });
});
