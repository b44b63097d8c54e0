import { printViolation } from '../history/print-history';
import { checkHistory } from './check-history';
import type { Promises } from './promises';
import { ToldHistory } from './told-history';

const PROMISES: Promises = {
  order: 'strict',
  fencing: true,
  deadHolder: 'keeps its lease',
  patience: 3_000,
  aftermath: 2_000,
  answer: 1_000,
  excuses: {
    exclusion: [],
    orderWhileWaiting: ['stop', 'stall'],
    orderWhileArriving: ['script-flush'],
    longest: 4_000,
  },
};

describe('the checker', () => {
  let told: ToldHistory;
  beforeEach(() => (told = new ToldHistory()));

  const broken = (promises: Partial<Promises> = {}, end = 20_000): readonly string[] =>
    checkHistory(told.endedAt(end), { ...PROMISES, ...promises }).map(({ broken: promise }) => promise);

  it('accepts a history in which nothing happened', () => {
    expect(broken()).toEqual([]);
  });

  it('accepts holders one after another, with tokens that rise', () => {
    told.invoke('w1', 0).grant(1, 10).release(20);
    told.invoke('w2', 5).arrive(6).grant(21, 11).release(30);
    told.invoke('w1', 7).grant(31, 12).release(40);
    expect(broken()).toEqual([]);
  });

  it('accepts that different keys are held at once', () => {
    told.invoke('w1', 0).grant(1, 10).release(50);
    told.invoke('w2', 0, { key: 'stock:2' }).grant(1, 10).release(50);
    expect(broken()).toEqual([]);
  });

  describe('of exclusion', () => {
    it('rejects two holders at once', () => {
      told.invoke('w1', 0).grant(1, 10).release(50);
      told.invoke('w2', 5).grant(49, 11).release(60);
      expect(broken()).toEqual(['exclusion']);
    });

    it('rejects a third holder beside a long one, though the second has left', () => {
      told.invoke('w1', 0).grant(1, 10).hold(500, 500).release(900);
      told.invoke('w2', 5, { key: 'stock:2' }).grant(10, 11).release(20);
      told.invoke('w3', 5).grant(800, 12).release(801);
      expect(broken()).toEqual(['exclusion']);
    });

    it('rejects a grant before the lease of a killed holder is over', () => {
      told.invoke('w1', 0).grant(1, 10, 1_000);
      told.fault('kill', 100, 110, 'w1');
      told.invoke('w2', 5).arrive(6).grant(900, 11).release(910);
      expect(broken()).toEqual(['exclusion']);
    });

    it('accepts it where the store notices that the holder is gone', () => {
      told.invoke('w1', 0).grant(1, 10, 1_000);
      told.fault('kill', 100, 110, 'w1');
      told.invoke('w2', 5).arrive(6).grant(900, 11).release(910);
      expect(broken({ deadHolder: 'is noticed' })).toEqual([]);
    });

    it('rejects a grant before the death of a holder whose end the store notices', () => {
      told.invoke('w1', 0).grant(1, 10, 'for ever');
      told.fault('kill', 500, 510, 'w1');
      told.invoke('w2', 5).arrive(6).grant(100, 11, 'for ever').release(400, 'for ever');
      expect(broken({ deadHolder: 'is noticed' })).toEqual(['exclusion']);
    });

    it('rejects a grant before the lease of a stopped holder is over, and accepts one after it', () => {
      told.invoke('w1', 0).grant(1, 10, 1_000).hold(300, 900).lose(5_000).release(5_001, 0);
      told.fault('stop', 310, 5_000, 'w1');
      told.invoke('w2', 5).arrive(6).grant(1_190, 11).release(1_195);
      expect(broken()).toEqual(['exclusion']);
      told = new ToldHistory();
      told.invoke('w1', 0).grant(1, 10, 1_000).hold(300, 900).lose(5_000).release(5_001, 0);
      told.fault('stop', 310, 5_000, 'w1');
      told.invoke('w2', 5).arrive(6).grant(1_201, 11).release(1_205);
      expect(broken()).toEqual([]);
    });

    it('rejects a grant before the holder hears of its loss, and accepts one after it', () => {
      told.invoke('w1', 0).grant(1, 10, 1_000).lose(400).release(410, 0);
      told.fault('client-kill', 390, 391);
      told.invoke('w2', 5).arrive(6).grant(399, 11).release(500);
      expect(broken()).toEqual(['exclusion']);
      told = new ToldHistory();
      told.invoke('w1', 0).grant(1, 10, 1_000).lose(400).release(410, 0);
      told.fault('client-kill', 390, 391);
      told.invoke('w2', 5).arrive(6).grant(401, 11).release(500);
      expect(broken()).toEqual([]);
    });

    it('does not take a grant that came too late for a holder', () => {
      told.invoke('w1', 0).grant(1, 10).release(50);
      told.invoke('w2', 5).grant(30, 9, 0);
      told.stall('w2', 6, 29);
      expect(broken({ order: 'none' })).toEqual([]);
    });

    it('rejects two holders of whom one can never lose its lease', () => {
      told.invoke('w1', 0).grant(1, 10, 'for ever');
      told.invoke('w2', 5).arrive(6).grant(9_000, 11, 'for ever').release(9_001);
      expect(broken({ fencing: true })).toContain('exclusion');
    });

    it('excuses what the strategy is no match for, in the time and for the process that it hit', () => {
      told.invoke('w1', 0).grant(1, 10).release(50);
      told.invoke('w2', 5).grant(40, 11).release(60);
      const excuses = { ...PROMISES.excuses, exclusion: ['cut'] };
      expect(broken({ excuses })).toEqual(['exclusion']);
      told.fault('cut', 30, 35, 'w3');
      told.fault('cut', 100, 135, 'w1');
      expect(broken({ excuses })).toEqual(['exclusion']);
      told.fault('cut', 30, 35, 'w1');
      expect(broken({ excuses })).toEqual([]);
    });
  });

  describe('of exclusion, where a fault excuses it', () => {
    const excuses = { ...PROMISES.excuses, exclusion: ['cut', 'failover'] };

    it('rejects two holders when the fault hit one of them while it was only waiting', () => {
      told.fault('cut', 100, 101, 'w1');
      told.invoke('w1', 0).grant(10_000, 10).hold(10_500, 1_000).release(11_000);
      told.invoke('w2', 9_000).grant(10_600, 11).release(10_700);
      expect(broken({ excuses, order: 'none', patience: 20_000 })).toEqual(['exclusion']);
    });

    it('rejects two holders when the fault hit the second while the first held', () => {
      told.invoke('w1', 0).grant(1, 10).hold(800, 900).release(1_600);
      told.fault('cut', 500, 501, 'w2');
      told.invoke('w2', 400).grant(1_500, 11).release(1_510);
      expect(broken({ excuses, order: 'none' })).toEqual(['exclusion']);
    });

    it('rejects two holders when the first has renewed its lease after the fault', () => {
      told.fault('failover', 2, 3);
      told.invoke('w1', 0).grant(1, 10).hold(1_100, 900).release(1_999);
      told.invoke('w2', 0).grant(1_500, 11).release(1_600);
      expect(broken({ excuses })).toEqual(['exclusion']);
    });

    it('accepts two holders when the fault hit after the first had renewed, or the second was granted it', () => {
      told.invoke('w1', 0).grant(1, 10).hold(1_100, 900).release(1_999);
      told.fault('failover', 1_200, 1_300);
      told.invoke('w2', 0).grant(1_500, 11).release(1_600);
      expect(broken({ excuses })).toEqual([]);
      told = new ToldHistory();
      told.invoke('w1', 0).grant(900, 10, 150).lose(960).release(961, 0);
      told.fault('cut', 100, 101, 'w1');
      told.invoke('w2', 0).grant(901, 11).release(902);
      expect(broken({ excuses, order: 'none' })).toEqual([]);
    });
  });

  describe('of tokens', () => {
    it('rejects a token that falls', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      told.invoke('w2', 5).grant(21, 9).release(30);
      expect(broken()).toEqual(['tokens']);
    });

    it('rejects a token below that of an earlier holder who was not the last', () => {
      told.invoke('w1', 0).grant(1, 30).release(20);
      told.invoke('w2', 5).grant(21, 31).release(30);
      told.invoke('w3', 6).grant(31, 29).release(40);
      expect(broken()).toEqual(['tokens']);
    });

    it('rejects the same token twice', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      told.invoke('w2', 5).grant(21, 10).release(30);
      expect(broken()).toContain('tokens');
    });

    it('rejects the same token twice even of two who hold at once', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      told.invoke('w2', 5).grant(11, 10).release(30);
      told.fault('restart-empty', 5, 10);
      expect(broken({ excuses: { ...PROMISES.excuses, exclusion: ['restart-empty'] } })).toEqual(['tokens']);
    });

    it('rejects a token that falls over a restart without data: nothing excuses it', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      told.fault('restart-empty', 25, 30);
      told.invoke('w2', 35).grant(36, 1).release(40);
      expect(broken({ excuses: { ...PROMISES.excuses, exclusion: ['restart-empty'] } })).toEqual(['tokens']);
    });

    it('accepts the token of a grant that was read long after a fault which excuses its holder, and no lower one', () => {
      const excuses = { ...PROMISES.excuses, exclusion: ['restart-keep'] };
      told.invoke('w0', 0).grant(1, 8).release(2);
      told.invoke('w1', 5).arrive(6).grant(1_000, 9, 5).lose(1_003).release(1_004, 0);
      told.fault('restart-keep', 10, 200);
      told.invoke('w2', 500).grant(501, 10).release(510);
      expect(broken({ excuses, order: 'none' })).toEqual([]);
      expect(broken({ order: 'none' })).toEqual(['tokens']);
      told = new ToldHistory();
      told.invoke('w0', 0).grant(1, 8).release(2);
      told.invoke('w1', 5).arrive(6).grant(1_000, 7, 5).lose(1_003).release(1_004, 0);
      told.fault('restart-keep', 10, 200);
      expect(broken({ excuses })).toEqual(['tokens']);
    });

    it('rejects a token below that of a holder who was gone before the fault, whenever the waiter came', () => {
      const excuses = { ...PROMISES.excuses, exclusion: ['failover'] };
      told.invoke('w1', 0).grant(1, 1_000).release(20);
      told.fault('failover', 25, 80);
      told.invoke('w2', 15).arrive(16).grant(100, 5).release(110);
      expect(broken({ excuses })).toEqual(['tokens']);
    });

    it('rejects an old token of a grant that is new, however long ago the fault was', () => {
      const excuses = { ...PROMISES.excuses, exclusion: ['failover'] };
      told.fault('failover', 10, 900);
      told.invoke('w2', 950).grant(1_000, 100).release(1_010);
      told.invoke('w1', 0).grant(4_000, 3).release(4_010);
      expect(broken({ excuses, order: 'none', patience: 10_000 })).toEqual(['tokens']);
    });

    it('rejects a token of a strategy that has none', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      expect(broken({ fencing: false })).toEqual(['tokens']);
    });
  });

  describe('of order', () => {
    it('rejects that a process serves its later call first', () => {
      told.invoke('w1', 0).grant(100, 11).release(110);
      told.invoke('w1', 1).grant(50, 10).release(60);
      expect(broken()).toEqual(['order']);
      expect(broken({ order: 'process' })).toEqual(['order']);
      expect(broken({ order: 'none' })).toEqual([]);
    });

    it('rejects that who was seen to have arrived is overtaken from another process', () => {
      told.invoke('w1', 0).arrive(5).grant(100, 11).release(110);
      told.invoke('w2', 6).grant(50, 10).release(60);
      expect(broken()).toEqual(['order']);
      expect(broken({ order: 'process' })).toEqual([]);
    });

    it('accepts it where nobody can tell who arrived first', () => {
      told.invoke('w1', 0).arrive(7).grant(100, 11).release(110);
      told.invoke('w2', 6).grant(50, 10).release(60);
      told.invoke('w3', 0).grant(200, 12).release(210);
      told.invoke('w4', 5).grant(150, 11.5).release(160);
      expect(broken({ fencing: false })).not.toContain('order');
    });

    it('rejects that a call that only tries passes the queue', () => {
      told.invoke('w1', 0).arrive(5).grant(100, 11).release(110);
      told.invoke('w2', 6, { waitTime: 0 }).grant(50, 10).release(60);
      expect(broken()).toEqual(['order']);
    });

    it('rejects that somebody was overtaken who gave up later', () => {
      told.invoke('w1', 0).arrive(5).reject(10_001);
      told.invoke('w2', 6).grant(50, 10).release(60);
      expect(broken()).toContain('order');
    });

    it('accepts that those are passed over who gave up, were sent away, or died', () => {
      told.invoke('w1', 0, { waitTime: 40 }).arrive(5).reject(55);
      told.invoke('w2', 0).arrive(5).abort(45).reject(55, 'ABORTED');
      told.invoke('w3', 0).arrive(5);
      told.fault('kill', 45, 60, 'w3');
      told.invoke('w4', 0).arrive(5).reject(45, 'LOCK_UNAVAILABLE');
      told.fault('cut', 40, 41, 'w4');
      told.invoke('w5', 6).grant(50, 10).release(60);
      expect(broken()).toEqual([]);
    });

    it('excuses a waiter who was stopped, or stood still, and no other', () => {
      told.invoke('w1', 0).arrive(5).grant(100, 11).release(110);
      told.invoke('w2', 6).grant(50, 10).release(60);
      told.fault('stop', 10, 90, 'w3');
      told.stall('w3', 10, 90);
      expect(broken()).toEqual(['order']);
      told.stall('w1', 10, 90);
      expect(broken()).toEqual([]);
    });

    it('does not excuse who overtakes because it was stopped itself', () => {
      told.invoke('w1', 0).arrive(5).grant(100, 11).release(110);
      told.invoke('w2', 6).grant(50, 10).release(60);
      told.fault('stop', 10, 40, 'w2');
      expect(broken()).toEqual(['order']);
    });

    it('excuses nobody who forgets a waiter for good', () => {
      told.invoke('w1', 0, { waitTime: 'for ever' }).arrive(5).reject(9_000, 'LOCK_SHUTDOWN');
      told.invoke('w1', 3_900).grant(3_901, 10).release(3_902);
      told.fault('stop', 10, 90, 'w1');
      told.invoke('w2', 4_100).grant(4_101, 11).release(4_102);
      expect(broken()).not.toContain('order');
      told.invoke('w1', 4_100).grant(4_103, 12).release(4_104);
      expect(broken()).toContain('order');
    });

    it('excuses what hit a waiter while it was arriving, and not after', () => {
      told.invoke('w1', 0).arrive(5).grant(100, 11).release(110);
      told.invoke('w2', 6).grant(50, 10).release(60);
      told.fault('script-flush', 10, 11);
      expect(broken()).toEqual(['order']);
      told.fault('script-flush', 2, 3);
      expect(broken()).toEqual([]);
    });
  });

  describe('of progress', () => {
    it('rejects a call that never ends', () => {
      told.invoke('w1', 0);
      expect(broken()).toEqual(['progress']);
    });

    it('rejects a call that never ends although its wait time is endless', () => {
      told.invoke('w1', 0, { waitTime: 'for ever' });
      expect(broken()).toEqual(['progress']);
    });

    it('rejects that a wait is over long after its time', () => {
      told.invoke('w2', 0).grant(0, 1, 'for ever').release(9_000, 'for ever');
      told.invoke('w1', 1, { waitTime: 200 }).reject(5_300);
      expect(broken()).toEqual(['progress']);
      told = new ToldHistory();
      told.invoke('w2', 0).grant(0, 1, 'for ever').release(9_000, 'for ever');
      told.invoke('w1', 1, { waitTime: 200 }).reject(5_100);
      expect(broken()).toEqual([]);
    });

    it('rejects that an abort is heard long after it', () => {
      told.invoke('w2', 0).grant(0, 1, 'for ever').release(9_000, 'for ever');
      told.invoke('w1', 100).abort(500).reject(5_600, 'ABORTED');
      expect(broken()).toEqual(['progress']);
    });

    it('rejects a lock that lies free while somebody waits', () => {
      told.invoke('w1', 0).grant(1, 10).release(20);
      told.invoke('w2', 5).arrive(6).grant(3_200, 11).release(3_210);
      expect(broken()).toEqual(['progress']);
    });

    it('accepts a long wait while others hold the lock one after another', () => {
      told.invoke('w1', 0).arrive(1).grant(1, 10).hold(900, 1_000).hold(1_800, 1_000).release(2_700);
      told.invoke('w2', 5).arrive(6).grant(4_000, 11, 1_000).hold(4_900, 1_000).release(5_800);
      told.invoke('w3', 7).arrive(8).grant(7_000, 12).release(7_010);
      expect(broken()).toEqual([]);
    });

    it('does not count the time in which the process or the store stood still', () => {
      told.invoke('w1', 0, { waitTime: 200 }).reject(9_000);
      told.fault('stop', 100, 8_900, 'w1');
      told.invoke('w2', 10_000).grant(18_000, 11).release(18_010);
      told.fault('freeze', 10_001, 17_900);
      expect(broken()).toEqual([]);
    });

    it('adds up the time between faults: one that is over at once does not start it anew', () => {
      told.invoke('w1', 0, { waitTime: 200 }).reject(9_000);
      for (let at = 1_000; at < 9_000; at += 2_000) told.fault('script-flush', at, at);
      expect(broken()).toEqual(['progress']);
      told = new ToldHistory();
      told.invoke('w1', 0, { waitTime: 'for ever' }).grant(9_000, 10).release(9_001);
      for (let at = 1_000; at < 9_000; at += 2_000) told.fault('client-kill', at, at + 1);
      expect(broken()).toEqual(['progress']);
    });

    it('does not add up the time between holders', () => {
      told.invoke('w1', 0, { waitTime: 'for ever' }).grant(9_000, 20).release(9_001);
      for (let at = 1_000; at < 9_000; at += 2_000)
        told
          .invoke('w2', at - 900)
          .grant(at, 10 + at / 1_000)
          .release(at + 1);
      expect(broken({ order: 'none', fencing: true })).toEqual([]);
    });

    it('expects nothing of the dead', () => {
      told.invoke('w1', 0);
      told.fault('kill', 100, 110, 'w1');
      expect(broken()).toEqual([]);
    });
  });

  describe('of renewal', () => {
    it('rejects that a holder loses its lock though nothing happened to it', () => {
      told.fault('stop', 4_000, 4_010, 'w1');
      told.fault('stop', 5_000, 9_000, 'w2');
      told.invoke('w1', 8_000).grant(8_001, 10).lose(9_000).release(9_010, 0);
      expect(broken()).toEqual(['renewal']);
    });

    it('rejects that a lease lapses whose holder is never told', () => {
      told.invoke('w1', 0).grant(1, 10).hold(500, 500).hold(1_100, 0).release(1_400, 0);
      told.invoke('w2', 5).arrive(6).grant(1_050, 11).release(1_060);
      expect(broken()).toEqual(['renewal']);
    });

    it('rejects that grants come too late', () => {
      told.invoke('w1', 0).grant(5, 10, 0).release(6, 0);
      expect(broken()).toEqual(['renewal']);
    });

    it('does not excuse a loss by what was over before the lease was last renewed', () => {
      told.fault('cut', 100, 101, 'w1');
      told.invoke('w1', 2_000).grant(2_001, 10).hold(4_900, 500).lose(5_400).release(5_410, 0);
      expect(broken()).toEqual(['renewal']);
    });

    it('accepts a grant whose lease was spent on the way, and a first lease that was short because of it', () => {
      told.fault('silence', 10, 2_500, 'w1');
      told.invoke('w1', 0).grant(6_000, 10, 0).lose(6_001).release(6_002, 0);
      told.invoke('w1', 1).grant(7_000, 11, 100).lose(7_101).release(7_102, 0);
      expect(broken({ order: 'none', patience: 10_000 })).toEqual([]);
    });

    it('accepts it when its process or the store was hit, or just had been', () => {
      told.invoke('w1', 8_000).grant(8_001, 10).lose(9_000).release(9_010, 0);
      told.stall('w1', 8_300, 8_900);
      told.invoke('w2', 15_000).grant(15_001, 11).lose(16_000).release(16_010, 0);
      told.fault('restart-keep', 14_000, 14_500);
      expect(broken()).toEqual([]);
    });
  });

  describe('of refusals', () => {
    it('rejects that a lock is called busy before the wait time is over', () => {
      told.invoke('w1', 0).reject(9_000);
      expect(broken({ patience: 10_000 })).toEqual(['refusals']);
      told = new ToldHistory();
      told.invoke('w1', 0).reject(10_001);
      expect(broken({ patience: 20_000 })).toEqual([]);
    });

    it('rejects that an endless wait ends with busy', () => {
      told.invoke('w1', 0, { waitTime: 'for ever' }).reject(1_000);
      expect(broken()).toEqual(['refusals']);
    });

    it('rejects that the store is called unavailable though no fault was near', () => {
      told.fault('client-kill', 1_000, 1_001);
      told.fault('cut', 8_000, 8_001, 'w2');
      told.invoke('w1', 7_999).reject(8_010, 'LOCK_UNAVAILABLE');
      expect(broken()).toEqual(['refusals']);
    });

    it('accepts that the store is called unavailable during a fault, or right after it', () => {
      told.fault('cut', 1_000, 1_001, 'w1');
      told.invoke('w1', 0).reject(1_010, 'LOCK_UNAVAILABLE');
      told.invoke('w1', 3_000).reject(3_010, 'LOCK_UNAVAILABLE');
      expect(broken()).toEqual([]);
    });

    it('accepts that no answer came within a wait that was too short for one, and rejects it before its end', () => {
      told.invoke('w1', 0, { waitTime: 20 }).reject(21, 'LOCK_UNAVAILABLE');
      expect(broken()).toEqual([]);
      told.invoke('w1', 100, { waitTime: 50 }).reject(121, 'LOCK_UNAVAILABLE');
      told.invoke('w1', 200, { waitTime: 0 }).reject(1_199, 'LOCK_UNAVAILABLE');
      expect(broken()).toEqual(['refusals']);
      told.invoke('w1', 200, { waitTime: 0 }).reject(900, 'LOCK_UNAVAILABLE');
      told.invoke('w1', 300, { waitTime: 1_000 }).reject(1_300, 'LOCK_UNAVAILABLE');
      expect(broken()).toEqual(['refusals', 'refusals', 'refusals']);
    });

    it('rejects that a process calls itself shut down, or a call given up, which was not', () => {
      told.invoke('w1', 0).reject(10, 'LOCK_SHUTDOWN');
      told.invoke('w1', 20).reject(30, 'ABORTED');
      expect(broken()).toEqual(['refusals', 'refusals']);
      told = new ToldHistory();
      told.fault('leave', 5, 100, 'w1');
      told.invoke('w1', 0).reject(10, 'LOCK_SHUTDOWN');
      told.invoke('w2', 20).abort(25).reject(30, 'ABORTED');
      expect(broken()).toEqual([]);
    });

    it('does not excuse a refusal by what was over long before it, or disturbed nobody', () => {
      told.fault('cut', 1_000, 1_001, 'w1');
      told.invoke('w1', 900).reject(4_900, 'LOCK_UNAVAILABLE');
      told.fault('script-flush', 7_000, 7_001);
      told.invoke('w1', 7_010).reject(7_020, 'LOCK_UNAVAILABLE');
      told.fault('move-slot', 9_000, 9_001);
      told.invoke('w1', 9_400, { waitTime: 0 }).reject(9_470, 'LOCK_UNAVAILABLE');
      expect(broken({ patience: 10_000 })).toEqual(['refusals', 'refusals', 'refusals']);
    });

    it('rejects an error that is none of the lock', () => {
      told.fault('cut', 0, 5, 'w1');
      told.invoke('w1', 0).reject(10, 'undefined is not a function');
      expect(broken()).toEqual(['refusals']);
    });
  });

  it('does not read a history in which a call is answered twice', () => {
    told.invoke('w1', 0).grant(1, 10).release(10).grant(11, 12);
    expect(() => broken()).toThrow('w1.1#1 was answered 2 times.');
    told = new ToldHistory();
    told.invoke('w1', 0).grant(1, 10).reject(10);
    expect(() => broken()).toThrow('w1.1#1 was answered 2 times.');
  });

  it('shows the part of the history in which a promise was broken', () => {
    told.invoke('w1', 0).grant(1, 10).release(50);
    told.invoke('w2', 5).grant(49, 11).release(60);
    told.fault('script-flush', 30, 31);
    told.invoke('w3', 5_000).grant(5_001, 12).release(5_002);
    const history = told.endedAt(6_000);
    const [violation] = checkHistory(history, PROMISES);
    const shown = violation && printViolation(violation, history);
    expect(shown).toMatch(/^exclusion is broken: w2\.1#1 holds "stock:1" while it is still w1\.1#1's\n/);
    expect(shown).toMatch(/^> +49\.0 w2\.1#1 gets "stock:1" with 11$/m);
    expect(shown).toMatch(/^! +30\.0 script-flush hits the store$/m);
    expect(shown).not.toMatch(/w3/);
  });
});
