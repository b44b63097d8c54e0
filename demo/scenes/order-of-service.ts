import type { Purchase } from './buyers.js';

/**
 * How many buyers got an item although somebody who had arrived before them got one later, or none.
 *
 * Arrival is when the whole order had reached a server, service is the order in which the items were handed out.
 * Buyers are compared with those of the same server: between two servers an order has arrived only when it reaches
 * the store that both share, and neither sees that moment.
 */
export function countOutOfOrder(purchases: readonly Purchase[]): number {
  const servers = new Set(purchases.map(({ arrival }) => arrival?.server));
  return [...servers]
    .map((server) => countJumpers(purchases.filter(({ arrival }) => arrival?.server === server)))
    .reduce((sum, jumpers) => sum + jumpers, 0);
}

function countJumpers(purchases: readonly Purchase[]): number {
  const last = (purchase: Purchase): number => purchase.order ?? Infinity;
  const lastServedFirst = [...purchases].sort((a, b) => (last(a) < last(b) ? 1 : -1));
  let earliest = Infinity;
  let jumpers = 0;
  for (const { order, arrival } of lastServedFirst) {
    if (!arrival) continue;
    if (order !== undefined && arrival.time > earliest) jumpers += 1;
    earliest = Math.min(earliest, arrival.time);
  }
  return jumpers;
}
