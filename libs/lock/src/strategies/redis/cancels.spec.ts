import { Cancels, type CancelHost } from './cancels.js';
import { lockKeys } from './lock-keys.js';
import type { Place } from './place.js';

describe('places that are to be taken out of the queue', () => {
  it('are given up when Redis refuses to, again and again', () => {
    let asked = 0;
    let isForgotten = false;
    const host: Partial<CancelHost> = {
      keys: lockKeys('lock:', 'stock:1'),
      instance: 'x'.repeat(32),
      send: ({ failed }) => {
        asked += 1;
        failed(new Error('NOPERM this user has no permissions'));
        return true;
      },
      retrySoon: () => cancels.resume(),
      forgetIfIdle: () => (isForgotten = true),
    };
    const cancels = new Cancels(host as CancelHost);
    cancels.add([{ seq: 1, cancelled: '1:1000:1' } as Place]);
    expect(asked).toBe(100);
    expect(cancels.isEmpty).toBe(true);
    expect(isForgotten).toBe(true);
  });
});
