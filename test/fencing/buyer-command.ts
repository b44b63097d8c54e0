/** How a buyer buys: with the lock alone, or with the database as the judge of it. */
export type Way = 'unfenced' | 'fenced' | 'released before the commit';

/** What the test tells a buyer, one thing after another. */
export type BuyerCommand =
  | { readonly do: 'lock'; readonly ttl: number }
  /** Reads the stock: inside of a transaction that stays open where the way has one. */
  | { readonly do: 'read'; readonly way: Way }
  /** Writes one less than it has read, and gives everything back. */
  | { readonly do: 'write' }
  | { readonly do: 'release' }
  | { readonly do: 'end' };

/** 'done', or the code of the error. */
export interface BuyerAnswer {
  readonly outcome: string;
}
