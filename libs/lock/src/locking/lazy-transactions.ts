import { LockTransactions, type TransactionRequest } from './lock-transactions.js';

/** Transactions that are built at their first use, for what they need may not be there before. */
export class LazyTransactions extends LockTransactions {
  private built: LockTransactions | undefined;

  constructor(private readonly factory: () => LockTransactions) {
    super();
  }

  build(): LockTransactions {
    this.built ??= this.factory();
    return this.built;
  }

  override async run<T>(request: TransactionRequest, work: () => Promise<T>): Promise<T> {
    return this.build().run(request, work);
  }

  /** While they are not built nobody can have begun one. */
  override isActive(dataSource?: string): boolean {
    return this.built?.isActive(dataSource) ?? false;
  }
}
