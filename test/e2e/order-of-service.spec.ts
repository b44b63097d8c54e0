import type { Purchase } from '../../demo/scenes/buyers';
import { countOutOfOrder } from '../../demo/scenes/order-of-service';

describe('countOutOfOrder', () => {
  it('counts nobody when all are served as they came, and the rest goes away with nothing', () => {
    expect(countOutOfOrder([bought(1, 10), bought(2, 20), refused(30), refused(40)])).toBe(0);
  });

  it('counts everybody who is served before somebody who came earlier', () => {
    expect(countOutOfOrder([bought(1, 30), bought(2, 20), bought(3, 10), bought(4, 40)])).toBe(2);
  });

  it('counts who gets an item when somebody who came earlier gets none', () => {
    expect(countOutOfOrder([refused(10), bought(1, 20), bought(2, 30)])).toBe(2);
  });

  it('does not compare buyers of different servers', () => {
    expect(countOutOfOrder([bought(1, 30, 'a'), bought(2, 20, 'b'), bought(3, 40, 'a')])).toBe(0);
  });

  it('does not count who was not answered', () => {
    expect(countOutOfOrder([{ outcome: 'failed', duration: 1 }, bought(1, 10)])).toBe(0);
  });
});

function bought(order: number, time: number, server = 'a'): Purchase {
  return { outcome: 'sold', duration: 1, order, arrival: { server, time } };
}

function refused(time: number, server = 'a'): Purchase {
  return { outcome: 'refused', duration: 1, arrival: { server, time } };
}
